"""Which flag of `vllm serve` carries which field, and since which version. Read by the command line and the checks.

Source: vLLM's own `--help=all` (0.32.0) and a comparison of its releases 0.6.0 to 0.33.0. Flags without a version of
their own are in all of these.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from llmfleet.api.engine import Dtype, LoadFormat, LoraSpec, SpeculativeSpec
from llmfleet.api.v1alpha1 import PORT, LLMDeploymentSpec
from llmfleet.engine import source
from llmfleet.engine.version import Version

ALWAYS = Version(0, 0)
SHUTDOWN_TIMEOUT_EXISTS = Version(0, 18, 0)
"""`--shutdown-timeout` is accepted; before, SIGTERM cuts every stream at once."""
SHUTDOWN_TIMEOUT_WORKS = Version(0, 28, 0)
"""Until 0.27 the HTTP server's own signal handler could override vLLM's, and the streams were cut all the same
(vLLM issue 49668, pull request 50916)."""
UNLOGGED = ("/health", "/metrics")
"""Paths that probes and autoscaler ask several times a minute: no line of log each time."""
UNLOGGED_SINCE = Version(0, 16, 0)
"""vLLM can leave paths out of its access log."""
Value = str | int | float | bool | tuple[str, ...] | None
CHAT_TEMPLATE_MOUNT = "/chat-template"
"""Where the ConfigMap of engine.chatTemplate is mounted."""


@dataclass(frozen=True)
class Flag:
    """A flag and what it carries.

    A value of None or False leaves it out; with True it stands alone; of several values each is an item of its own.
    """

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
        if isinstance(value, tuple):
            return [self.name, *value]
        return [self.name] if value is True else [f"{self.name}={value}"]


def _auto(length: int | str | None) -> str | None:
    return "auto" if length == "auto" else None


def _unless_auto(length: int | str | None) -> int | str | None:
    return None if length == "auto" else length


def _load_format(spec: LLMDeploymentSpec) -> str | None:
    """From a bucket weights can only be streamed (vLLM `config/vllm.py` would choose the same, with a warning)."""
    if spec.engine.load_format is not LoadFormat.AUTO:
        return spec.engine.load_format.value
    is_bucket = isinstance(source.parse(spec.model.source), source.BucketModel)
    return LoadFormat.RUNAI_STREAMER.value if is_bucket else None


def _speculative(speculative: SpeculativeSpec | None) -> str | None:
    """The method as JSON (vLLM `config/speculative.py`)."""
    if speculative is None:
        return None
    model = {"model": speculative.model.removeprefix("hf://")} if speculative.model else {}
    config = {"method": speculative.method} | model | {"num_speculative_tokens": speculative.num_speculative_tokens}
    return json.dumps(config)


def _adapters(lora: LoraSpec | None) -> tuple[str, ...] | None:
    """NAME=PATH for each; vLLM takes the name of a hub repository for a path too."""
    if lora is None:
        return None
    return tuple(f"{adapter.name}={source.adapter_path(adapter.source)}" for adapter in lora.adapters)


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
    Flag(
        "--pipeline-parallel-size",
        "spec.gpu.pipelineParallelSize",
        lambda s: s.gpu.pipeline_parallel_size if s.gpu.pipeline_parallel_size > 1 else None,
    ),
    Flag("--load-format", "spec.engine.loadFormat", _load_format),
    Flag("--kv-cache-dtype", "spec.engine.kvCacheDtype", lambda s: s.engine.kv_cache_dtype),
    Flag("--enable-prefix-caching", "spec.engine.prefixCaching", lambda s: s.engine.prefix_caching),
    Flag("--no-enable-prefix-caching", "spec.engine.prefixCaching", lambda s: s.engine.prefix_caching is False),
    Flag("--enable-chunked-prefill", "spec.engine.chunkedPrefill", lambda s: s.engine.chunked_prefill),
    Flag("--no-enable-chunked-prefill", "spec.engine.chunkedPrefill", lambda s: s.engine.chunked_prefill is False),
    Flag("--speculative-config", "spec.engine.speculative", lambda s: _speculative(s.engine.speculative)),
    # With the choice of tools left to the model; vLLM wants both flags or neither.
    Flag("--enable-auto-tool-choice", "spec.engine.toolCallParser", lambda s: s.engine.tool_call_parser is not None),
    Flag("--tool-call-parser", "spec.engine.toolCallParser", lambda s: s.engine.tool_call_parser),
    Flag("--reasoning-parser", "spec.engine.reasoningParser", lambda s: s.engine.reasoning_parser),
    Flag(
        "--chat-template",
        "spec.engine.chatTemplate",
        lambda s: f"{CHAT_TEMPLATE_MOUNT}/{s.engine.chat_template.key}" if s.engine.chat_template else None,
    ),
    Flag("--enable-lora", "spec.engine.lora", lambda s: s.engine.lora is not None),
    Flag("--max-loras", "spec.engine.lora.maxLoras", lambda s: s.engine.lora.max_loras if s.engine.lora else None),
    Flag("--max-lora-rank", "spec.engine.lora.maxRank", lambda s: s.engine.lora.max_rank if s.engine.lora else None),
    Flag("--lora-modules", "spec.engine.lora", lambda s: _adapters(s.engine.lora)),
)
"""The typed fields in the order of the command line."""

HOUSEKEEPING: tuple[Flag, ...] = (
    # All addresses, because Service and probes come to the pod's.
    Flag("--host", "the operator", lambda _: "0.0.0.0"),  # noqa: S104
    Flag("--port", "the operator", lambda _: PORT),
    # The probes and the autoscaler ask several times a minute; their lines would push the cause of a crash out of the
    # last 80 lines, which is what a container's termination message keeps.
    Flag("--disable-access-log-for-endpoints", "the operator", lambda _: ",".join(UNLOGGED), UNLOGGED_SINCE),
    Flag("--shutdown-timeout", "spec.drain.timeoutSeconds", lambda s: s.drain.timeout_seconds, SHUTDOWN_TIMEOUT_WORKS),
)
"""What the operator itself needs, where the version has it."""

EXACT_ALLOWED: frozenset[str] = frozenset({"--tokenizer"})
"""Flags of their own that are also the beginning of a refused one."""
