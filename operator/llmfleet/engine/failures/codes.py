"""Exit codes, where the texts say nothing. Sources: vLLM 0.33.0 by reading, 0.32.0 by running; signal(7) + 128."""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Failure, Kind

_LOGS = "Look at the end of `kubectl logs --previous` of the pod."

_OOM = Failure(
    reason=Reason.HOST_MEMORY_EXHAUSTED,
    sentence="The container used more memory of the host than its limit allows and was killed (OOMKilled, code 137).",
    remedy="Raise spec.resources.limits.memory; it has to hold the engine's processes, /dev/shm and offloaded weights.",
    kind=Kind.PERMANENT,
)

_CODES: dict[int, tuple[Reason, str, str, Kind]] = {
    0: (
        Reason.ENGINE_DIED,
        (
            "The engine's process died and the server then ended with code 0, as vLLM does; of a container that "
            "ends with "
            "0 Kubernetes keeps no line of the log."
        ),
        f"{_LOGS} Memory of the host or of the GPU that ran out is the usual cause.",
        Kind.TRANSIENT,
    ),
    2: (
        Reason.ARGUMENT_REFUSED,
        "The engine refused its command line (code 2).",
        "Check spec.engine.extraArgs against `vllm serve --help=all` of the vLLM in use.",
        Kind.PERMANENT,
    ),
    126: (
        Reason.IMAGE_UNUSABLE,
        "The image's `vllm` cannot be run (code 126).",
        "Set spec.engine.image to an image of vLLM's server for the node's architecture.",
        Kind.PERMANENT,
    ),
    127: (
        Reason.IMAGE_UNUSABLE,
        "There is no `vllm` in the image (code 127).",
        "Set spec.engine.image to an image of vLLM's server.",
        Kind.PERMANENT,
    ),
    130: (
        Reason.START_TIMED_OUT,
        "The engine was ended while it loaded (code 130): it was not ready in time.",
        "Raise spec.startup.timeoutSeconds, or keep weights and compiled kernels on a volume.",
        Kind.PERMANENT,
    ),
    134: (Reason.ENGINE_DIED, "The engine aborted (code 134, SIGABRT).", _LOGS, Kind.TRANSIENT),
    135: (
        Reason.SHARED_MEMORY_EXHAUSTED,
        "The engine was ended by a bus error (code 135, SIGBUS): /dev/shm is too small, or a mapped file was cut.",
        (
            "Raise spec.resources.limits.memory, which counts /dev/shm too; with spec.gpu.tensorParallelSize "
            "above 1 the "
            "operator mounts 1 GiB of it for each GPU."
        ),
        Kind.PERMANENT,
    ),
    137: (
        Reason.ENGINE_DIED,
        "The engine was killed (code 137, SIGKILL): by the node for its memory, or because it did not end in time.",
        (
            "Look at the node's events and memory; raise spec.resources.requests.memory, or "
            "spec.startup.timeoutSeconds if "
            "it was still loading."
        ),
        Kind.TRANSIENT,
    ),
    139: (Reason.ENGINE_DIED, "The engine crashed (code 139, segmentation fault).", _LOGS, Kind.TRANSIENT),
    143: (
        Reason.START_TIMED_OUT,
        "The engine was ended by SIGTERM (code 143): it was not ready in time.",
        "Raise spec.startup.timeoutSeconds, or keep weights and compiled kernels on a volume.",
        Kind.PERMANENT,
    ),
}


def by_code(exit_code: int, termination_reason: str, quote: str) -> Failure:
    """What the code says; with code 1, or one that nobody knows, the words that were found.

    Args:
        exit_code: of the container.
        termination_reason: the runtime's word.
        quote: the last words of the log; empty if there are none.
    """
    if termination_reason == "OOMKilled":
        return _OOM
    said = f" Its last words: {quote}" if quote else ""
    if exit_code in _CODES:
        reason, sentence, remedy, kind = _CODES[exit_code]
        return Failure(reason=reason, sentence=sentence + said, remedy=remedy, kind=kind)
    named = f" ({termination_reason})" if termination_reason not in {"", "Error", "Completed"} else ""
    sentence = f"The engine ended with code {exit_code}{named}." + ("" if quote else " Its last words tell no cause.")
    remedy = "" if quote and "root cause" not in quote else _LOGS
    return Failure(reason=Reason.STUCK, sentence=sentence + said, remedy=remedy, kind=Kind.TRANSIENT)
