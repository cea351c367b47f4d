"""What a day's signals say about the spec: which field to change, and to what. Pure.

window -> evidence -> `advise` -> status.recommendations and a metric. Never more than three, the most worth first. Each
rule is a small function of the evidence, and says the numbers, the field, and the value to try.
"""

from collections.abc import Callable, Iterator
from math import ceil

from llmfleet.api.conditions import Advice
from llmfleet.scaling.evidence import DAY_SECONDS, HOUR, OFTEN, RARE, SELDOM, Case, Recommendation, percent

MOST = 3
LEAST_SECONDS = HOUR
"""Least time seen before anything is said."""
FILL = 0.7
"""KV usage to aim at with more sequences: below the 0.9 from which preemptions were seen."""
MOST_TIMES = 4
"""Most times by which a bound is raised at once."""
FEWER = 0.75
"""Share of the sequences in execution while preemptions went on which fits: sequences grow after their admission."""
ENOUGH_TOKENS = 2048
"""maxNumBatchedTokens from which more hardly helps: on an H200 a step of 2,048 tokens computes 98 % as many a second as
one of 8,192, a step of 512 86 %, one of 128 48 % (step times fitted to vLLM 0.26)."""


def advise(case: Case) -> tuple[Recommendation, ...]:
    """The recommendations, the most worth first."""
    if case.seen.seconds < LEAST_SECONDS:
        return ()
    return tuple(_found(case))[:MOST]


def _found(case: Case) -> Iterator[Recommendation]:
    for rule in RULES:
        if (found := rule(case)) is not None:
            yield found


def more_replicas(case: Case) -> Recommendation | None:
    """The load asks for more replicas than maxReplicas."""
    seen, config, reason = case.seen, case.config, Advice.RAISE_MAX_REPLICAS
    share = seen.above_max / seen.seconds
    if config is None or share < (SELDOM if reason in case.standing else OFTEN):
        return None
    most = round(seen.most_wanted)
    return Recommendation(
        reason,
        f"More than scaling.maxReplicas ({config.max_replicas}) were wanted for {percent(share)} of the time "
        f"{case.span}, up to {most}: raise scaling.maxReplicas to {most}, as far as there are GPUs.",
        most,
    )


def more_sequences(case: Case) -> Recommendation | None:
    """Requests wait for a place in the batch while the KV cache has room."""
    seen, reason = case.seen, Advice.RAISE_MAX_NUM_SEQS
    if not case.often(seen.full, reason):
        return None
    bound, usage = seen.full_seqs / seen.full, max(seen.full_kv / seen.full, FILL / 1000)
    target = _multiple_of_8(bound * min(MOST_TIMES, FILL / usage))
    budget = case.facts.max_num_batched_tokens
    limit = "" if budget is None or budget >= target else f" (and engine.maxNumBatchedTokens to at least {target})"
    return Recommendation(
        reason,
        f"Requests waited for {_share(case, seen.full)} {case.span} with {bound:.0f} in execution, all that "
        f"engine.maxNumSeqs allows, and the KV cache {percent(usage)} full: raise engine.maxNumSeqs to "
        f"{target}{limit}.",
        target,
    )


def more_batched_tokens(case: Case) -> Recommendation | None:
    """Requests wait because steps are too small for their prompts."""
    seen, budget, reason = case.seen, case.facts.max_num_batched_tokens, Advice.RAISE_MAX_NUM_BATCHED_TOKENS
    if budget is None or budget >= ENOUGH_TOKENS or not case.often(seen.budgeted, reason):
        return None
    target = min(MOST_TIMES * budget, ENOUGH_TOKENS)
    return Recommendation(
        reason,
        f"Requests waited for {_share(case, seen.budgeted)} {case.span} while each engine step computed all the "
        f"{budget} tokens that engine.maxNumBatchedTokens allows, and the KV cache was less than half full: raise "
        f"engine.maxNumBatchedTokens to {target}.",
        target,
    )


def smaller_kv(case: Case) -> Recommendation | None:
    """Sequences are thrown out of the KV cache, and half as many bytes for each token would do."""
    reason = Advice.USE_FP8_KV_CACHE
    is_wide = case.kv_cache_dtype in {"auto", "float16", "bfloat16"}
    if not (case.facts.fp8_kv_cache and is_wide and case.often(case.seen.preempting, reason)):
        return None
    return Recommendation(
        reason,
        f"{_preemptions(case)}: set engine.kvCacheDtype to fp8, which holds twice the tokens (check the quality of "
        f"answers first), or let fewer sequences run at a time (engine.maxNumSeqs {_fewer(case)}).",
    )


def fewer_sequences(case: Case) -> Recommendation | None:
    """Sequences are thrown out of the KV cache."""
    reason, limit = Advice.LOWER_MAX_NUM_SEQS, case.facts.max_num_seqs
    if smaller_kv(case) or not case.often(case.seen.preempting, reason):
        return None
    target = _fewer(case)
    if limit is not None and target >= limit:
        return None
    return Recommendation(
        reason, f"{_preemptions(case)}: set engine.maxNumSeqs to {target}, so that what runs has room to grow.", target
    )


def prefix_caching(case: Case) -> Recommendation | None:
    """Requests wait for their prompts to be computed, and what prompts share is computed again and again."""
    reason = Advice.ENABLE_PREFIX_CACHING
    if case.prefix_caching is not False or not case.often(case.seen.waiting, reason):
        return None
    return Recommendation(
        reason,
        f"Requests waited for {_share(case, case.seen.waiting)} {case.span}, and engine.prefixCaching is off: turn it "
        "on, so that what prompts have in common is computed once; it costs next to nothing where they have nothing.",
    )


def fewer_replicas(case: Case) -> Recommendation | None:
    """The load never asks for as many replicas as minReplicas."""
    seen, config, reason = case.seen, case.config, Advice.LOWER_MIN_REPLICAS
    if config is None or config.min_replicas < 2 or seen.seconds < DAY_SECONDS:  # noqa: PLR2004 (1 is the least)
        return None
    if seen.at_min / seen.seconds >= (OFTEN if reason in case.standing else RARE):
        return None
    target = max(1, round(seen.most_below_min))
    return Recommendation(
        reason,
        f"The load never asked for more than {target} for long {case.span}, and scaling.minReplicas is "
        f"{config.min_replicas}: lower it to {target}, unless the rest is there in case of failures.",
        target,
    )


def scaling(case: Case) -> Recommendation | None:
    """Several replicas of which nobody takes any away are nearly empty."""
    reason = Advice.SET_SCALING
    if case.config is not None or case.replicas < 2 or not case.is_roomy(reason):  # noqa: PLR2004 (1 is the least)
        return None
    return Recommendation(
        reason,
        f"{_roomy(case)} on {case.replicas} replicas, and nothing waited: set spec.scaling (minReplicas 1, maxReplicas "
        f"{case.replicas}), so that replicas follow the load.",
    )


def smaller_gpu(case: Case) -> Recommendation | None:
    """One replica's KV cache is far larger than the load needs."""
    least = case.replicas if case.config is None else case.config.min_replicas
    if least > 1 or not case.is_roomy(Advice.USE_SMALLER_PROFILE):
        return None
    return Recommendation(
        Advice.USE_SMALLER_PROFILE,
        f"{_roomy(case)}, and nothing waited: a gpu.profile with less memory, or a smaller gpu.tensorParallelSize, "
        "would hold this load if it computes fast enough; or use the room for a longer engine.maxModelLen.",
    )


RULES: tuple[Callable[[Case], Recommendation | None], ...] = (
    more_replicas,
    more_sequences,
    more_batched_tokens,
    smaller_kv,
    fewer_sequences,
    prefix_caching,
    fewer_replicas,
    scaling,
    smaller_gpu,
)
"""Every rule: what makes requests wait stands before what wastes work, and that before what wastes room."""


def _preemptions(case: Case) -> str:
    seen = case.seen
    running = seen.preempting_seqs / seen.preempting
    return (
        f"Requests were thrown out of the KV cache and computed again for {_share(case, seen.preempting)} {case.span}, "
        f"with {running:.0f} in execution"
    )


def _fewer(case: Case) -> int:
    running = case.seen.preempting_seqs / case.seen.preempting
    return max(1, int(FEWER * running))


def _roomy(case: Case) -> str:
    usage = case.seen.kv_below(1 - RARE)
    size = f" of {case.kv_cache_tokens:,} tokens" if case.kv_cache_tokens else ""
    return f"The KV cache{size} was less than {percent(usage)} full for 99 % of the time {case.span}"


def _share(case: Case, seconds: float) -> str:
    return f"{percent(case.seen.share(seconds))} of the replicas' time"


def _multiple_of_8(value: float) -> int:
    return 8 * ceil(value / 8)
