"""A memory plan as the status and `llmfleet plan --json` show it; and what a running engine says of it. Pure."""

from llmfleet.api.status import PlanStatus
from llmfleet.engine.memory.planning import Case, Outlook
from llmfleet.engine.models.attention import AttentionKind
from llmfleet.engine.version import Version

TOLERANCE_PERCENT = 10
"""A measured KV cache that differs by more from the plan is told: then something takes memory that was not planned."""
STATES_ITS_TOKENS = Version(0, 24, 0)
"""From here on vLLM states its tokens itself; before, blocks times block size is too much where layers differ."""
MESSAGE_LENGTH = 1000


def status_of(seen: Outlook) -> PlanStatus:
    """The plan in numbers and words."""
    plan = seen.plan
    common = {"message": seen.message[:MESSAGE_LENGTH], "model_known": seen.case.architecture is not None}
    if plan is None:
        return PlanStatus(**common)
    return PlanStatus(
        **common,
        verdict=plan.verdict.value,
        confidence=plan.confidence.value,
        architecture=seen.case.model or None,
        weights_bytes_per_gpu=round(plan.fill.weights.likely),
        overhead_bytes_per_gpu=round(plan.fill.overhead.total),
        kv_cache_bytes_per_gpu=round(plan.kv_cache),
        kv_bytes_per_token=plan.token_bytes,
        kv_cache_tokens=plan.kv_tokens,
        max_model_len=plan.context,
        max_concurrent_sequences=int(plan.concurrency),
        largest_max_model_len=plan.largest_context,
    )


def is_comparable(of: Case) -> bool:
    """Whether the engine counts its tokens as the plan does."""
    if of.architecture is None:
        return False
    kinds = {group.kind for group in of.architecture.kv_groups}
    return kinds == {AttentionKind.FULL} or of.version >= STATES_ITS_TOKENS


def measured(planned: PlanStatus, tokens: int | None) -> PlanStatus:
    """The plan beside what a running engine says; the same plan while that is unknown."""
    if tokens is None or not planned.kv_cache_tokens:
        return planned
    difference = round(100 * (tokens / planned.kv_cache_tokens - 1))
    return planned.model_copy(update={"measured_kv_cache_tokens": tokens, "difference_percent": difference})


def surprise(planned: PlanStatus) -> str:
    """The sentence that tells of a difference, or empty."""
    difference = planned.difference_percent
    if difference is None or abs(difference) <= TOLERANCE_PERCENT:
        return ""
    words = "more" if difference > 0 else "less"
    return (
        f"The engine's KV cache holds {planned.measured_kv_cache_tokens:,} tokens, {abs(difference)} % {words} than "
        f"the {planned.kv_cache_tokens:,} that were planned: the GPU is another one than the profile says, is shared, "
        "or the model is not the one that was planned for."
    )
