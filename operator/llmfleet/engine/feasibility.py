"""Whether the model can run as the spec wants it: does it split, fit, and take such lengths. Part of the checks.

Like `checks.py`, but of what needs the model's shape. A shape that is only like the model's (spec.model.architecture)
says nothing certain about the checkpoint's type and context, so there the same findings are warnings.
"""

from collections.abc import Callable, Iterator

from llmfleet.api.conditions import Reason
from llmfleet.engine import compatibility
from llmfleet.engine.memory.batching import defaults
from llmfleet.engine.memory.parallel import possible, problems_of
from llmfleet.engine.memory.plan import Verdict
from llmfleet.engine.memory.planning import Case, Outlook
from llmfleet.engine.problem import Problem, warning

OVERRIDES = "--hf-overrides"


def problems(seen: Outlook) -> Iterator[Problem]:
    """Everything that is known against the spec, seen from the model's shape."""
    judged = (judge(seen.case) for judge in JUDGES)
    yield from (problem for problem in judged if problem)
    if problem := memory_suffices(seen):
        yield problem


def ranks_divide_the_model(of: Case) -> Problem | None:
    """Tensor parallelism divides heads and widths."""
    if of.architecture is None:
        return None
    ranks = of.setup.tensor_parallel
    undivided = problems_of(of.architecture, of.setup)
    if not undivided:
        return None
    most = of.gpu.per_node if of.gpu else ranks
    sizes = ", ".join(str(size) for size in possible(of.architecture, of.setup, most))
    return Problem(
        Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS,
        f"spec.gpu.tensorParallelSize {ranks} does not divide {' and '.join(undivided)}: set it to one of {sizes}.",
    )


def stages_have_layers(of: Case) -> Problem | None:
    """Each pipeline stage has a layer."""
    if of.architecture is None or of.setup.pipeline_parallel <= of.architecture.layers:
        return None
    layers = of.architecture.layers
    return Problem(
        Reason.TOO_MANY_GPUS,
        f"spec.gpu.pipelineParallelSize {of.setup.pipeline_parallel} is more than the model's {layers} layers: set it "
        f"to {layers} or less.",
    )


def context_is_the_models(of: Case) -> Problem | None:
    """No longer sequences than the model takes."""
    length = of.setup.max_model_len
    longest = of.architecture.max_context if of.architecture else None
    if longest is None or not isinstance(length, int) or length <= longest or _is_overridden(of):
        return None
    words = (
        f"spec.engine.maxModelLen {length} is more than the {longest} tokens that {of.model} takes: set it to "
        f"{longest} or less, or leave it out."
    )
    return Problem(Reason.CONTEXT_TOO_LONG, words) if of.is_exact else warning(words)


def batch_holds_a_sequence(of: Case) -> Problem | None:
    """Without chunked prefill a whole prompt fits into one step."""
    tokens = of.setup.max_num_batched_tokens
    if of.setup.chunked_prefill is not False or tokens is None or of.architecture is None:
        return None
    length = of.architecture.default_context if of.setup.max_model_len is None else of.setup.max_model_len
    if not isinstance(length, int) or tokens >= length:
        return None
    return Problem(
        Reason.BATCH_TOO_SMALL,
        f"spec.engine.chunkedPrefill is false, and spec.engine.maxNumBatchedTokens {tokens} is less than the {length} "
        f"tokens of the longest sequence: set it to {length} or more, lower maxModelLen, or leave chunkedPrefill out.",
    )


def batch_holds_its_sequences(of: Case) -> Problem | None:
    """Where only the sequences are given, vLLM's own number of tokens is not below them."""
    sequences = of.setup.max_num_seqs
    if sequences is None or of.setup.max_num_batched_tokens is not None or of.gpu is None:
        return None
    tokens = defaults(of.gpu.memory_gib, of.gpu.capability).tokens
    if sequences <= tokens:
        return None
    return Problem(
        Reason.BATCH_TOO_SMALL,
        f"spec.engine.maxNumSeqs {sequences} is more than the {tokens} batched tokens that vLLM takes on "
        f"{of.gpu.name}, and it does not start: set spec.engine.maxNumBatchedTokens to {sequences} or more.",
    )


def memory_suffices(seen: Outlook) -> Problem | None:
    """The model fits, or at least may."""
    plan = seen.plan
    if plan is None or plan.verdict is Verdict.FITS or _splits_badly(seen.case):
        return None
    if plan.verdict is Verdict.DOES_NOT_FIT and seen.case.is_exact:
        return Problem(Reason.DOES_NOT_FIT_MEMORY, seen.message)
    return warning(seen.message)


def _splits_badly(of: Case) -> bool:
    return of.architecture is not None and bool(problems_of(of.architecture, of.setup))


def _is_overridden(of: Case) -> bool:
    """Somebody has told vLLM to take other lengths."""
    return any(argument.startswith(OVERRIDES) for argument in of.deployment.spec.engine.extra_args)


JUDGES: tuple[Callable[[Case], Problem | None], ...] = (
    ranks_divide_the_model,
    stages_have_layers,
    *compatibility.JUDGES,
    context_is_the_models,
    batch_holds_a_sequence,
    batch_holds_its_sequences,
)
"""What is judged before the memory."""
