"""Which flag of `vllm serve` carries which field, and since which version. Read by the command line and the checks.

Source: vLLM's own `--help=all` (0.32.0) and a comparison of its releases 0.6.0 to 0.33.0. Flags without a version of
their own are in all of these.
"""

from collections.abc import Callable
from dataclasses import dataclass

from llmfleet.api.v1alpha1 import PORT, Dtype, LLMDeploymentSpec
from llmfleet.engine.version import Version

ALWAYS = Version(0, 0)
SHUTDOWN_TIMEOUT_EXISTS = Version(0, 18, 0)
"""`--shutdown-timeout` is accepted; before, SIGTERM cuts every stream at once."""
SHUTDOWN_TIMEOUT_WORKS = Version(0, 28, 0)
"""Until 0.27 the HTTP server's own signal handler could override vLLM's, and the streams were cut all the same
(vLLM issue 49668, pull request 50916)."""
Value = str | int | float | bool | None


@dataclass(frozen=True)
class Flag:
    """A flag and what it carries. A value of None or False leaves it out; with True it stands alone."""

    name: str
    field: str
    """Who owns it, as a user would write it."""
    value: Callable[[LLMDeploymentSpec], Value]
    since: Version = ALWAYS

    def arguments(self, spec: LLMDeploymentSpec) -> list[str]:
        """The flag with its value, as argv items."""
        value = self.value(spec)
        if value is None or value is False:
            return []
        return [self.name] if value is True else [f"{self.name}={value}"]


def _auto(length: int | str | None) -> str | None:
    return "auto" if length == "auto" else None


def _unless_auto(length: int | str | None) -> int | str | None:
    return None if length == "auto" else length


FIELDS: tuple[Flag, ...] = (
    Flag("--revision", "spec.model.revision", lambda s: s.model.revision),
    Flag("--code-revision", "spec.model.revision", lambda s: s.model.trust_remote_code and s.model.revision),
    Flag("--trust-remote-code", "spec.model.trustRemoteCode", lambda s: s.model.trust_remote_code),
    Flag("--dtype", "spec.engine.dtype", lambda s: None if s.engine.dtype is Dtype.AUTO else s.engine.dtype.value),
    Flag("--quantization", "spec.engine.quantization", lambda s: s.engine.quantization),
    # Always written: vLLM's own default moved from 0.9 to 0.92 in 0.20.0.
    Flag("--gpu-memory-utilization", "spec.engine.gpuMemoryUtilization", lambda s: s.engine.gpu_memory_utilization),
    Flag("--max-model-len", "spec.engine.maxModelLen", lambda s: _unless_auto(s.engine.max_model_len)),
    Flag("--max-model-len", "spec.engine.maxModelLen: auto", lambda s: _auto(s.engine.max_model_len), Version(0, 14)),
    Flag("--max-num-seqs", "spec.engine.maxNumSeqs", lambda s: s.engine.max_num_seqs),
    Flag("--max-num-batched-tokens", "spec.engine.maxNumBatchedTokens", lambda s: s.engine.max_num_batched_tokens),
    Flag(
        "--tensor-parallel-size",
        "spec.gpu.tensorParallelSize",
        lambda s: s.gpu.tensor_parallel_size if s.gpu.tensor_parallel_size > 1 else None,
    ),
)
"""The typed fields in the order of the command line."""

HOUSEKEEPING: tuple[Flag, ...] = (
    # All addresses, because Service and probes come to the pod's.
    Flag("--host", "the operator", lambda _: "0.0.0.0"),  # noqa: S104
    Flag("--port", "the operator", lambda _: PORT),
    # The probes and the autoscaler ask several times a minute; their lines would push the cause of a crash out of the
    # last 80 lines, which is what a container's termination message keeps.
    Flag("--disable-access-log-for-endpoints", "the operator", lambda _: "/health,/metrics", Version(0, 16)),
    Flag("--shutdown-timeout", "spec.drain.timeoutSeconds", lambda s: s.drain.timeout_seconds, SHUTDOWN_TIMEOUT_WORKS),
)
"""What the operator itself needs, where the version has it."""

EXACT_ALLOWED: frozenset[str] = frozenset({"--tokenizer", "--reasoning-parser"})
"""Flags of their own that are also the beginning of a refused one."""

REFUSED_VALUES: dict[str, dict[str, str]] = {
    "--load-format": dict.fromkeys(
        ("pt", "npcache"), "reads pickled weights, which can run code; use safetensors (leave --load-format out)"
    )
}
"""Flag -> value -> why it is refused."""
