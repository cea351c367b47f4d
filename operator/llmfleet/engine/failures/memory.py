"""Texts about the GPU's memory and the sizes that decide over it.

Sources, as in vLLM 0.32.0 and 0.33.0: `v1/worker/utils.py`, `v1/worker/gpu_worker.py`, `v1/worker/gpu_model_runner.py`,
`v1/worker/cpu_worker.py`, `v1/core/kv_cache_utils.py` (0.33: `kv_cache_planning.py`), `config/model.py`,
`config/scheduler.py`, `distributed/utils.py`; CUDA's own words are torch's.
"""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Kind, Rule, rule

_SMALLER = (
    "Lower the need: spec.engine.quantization (fp8 halves the weights), a higher spec.gpu.tensorParallelSize, a "
    "smaller "
    "spec.engine.maxNumSeqs or maxNumBatchedTokens, or a larger spec.gpu.profile."
)

RULES: tuple[Rule, ...] = (
    rule(
        r"Free memory on device [^\n]{0,40}\((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup\s+is less than "
        r"[^\n]{0,80}\((?P<share>[\d.]+), (?P<want>[\d.]+) GiB\)",
        Reason.GPU_MEMORY_IN_USE,
        "Only {free} of {total} GiB of the GPU's memory were free, and the engine wants {want} GiB "
        "(gpuMemoryUtilization {share}).",
        "If a replica on its way out still holds the rest, waiting cures it; if something else shares the GPU, lower "
        "spec.engine.gpuMemoryUtilization.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"Error in memory profiling\. Initial free memory (?P<before>[\d.]+)[^\n]{0,60}free memory (?P<after>[\d.]+)",
        Reason.GPU_MEMORY_IN_USE,
        "While the engine measured the GPU's memory, somebody else gave some back (free: {before} GiB, then {after}).",
        "The next try measures again; nothing else should run on the GPU.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"To serve at least one request with the model's max seq len \((?P<length>\d+)\), \(?(?P<need>[\d.]+) GiB KV "
        r"cache is needed, which is larger than the available KV cache memory \((?P<have>[\d.]+) GiB\)\. "
        r"Based on the available memory, the estimated maximum model length is (?P<fits>\d+)",
        Reason.DOES_NOT_FIT_MEMORY,
        "One request of {length} tokens needs {need} GiB of KV cache, and {have} GiB are left for it.",
        "Set spec.engine.maxModelLen to {fits} or less, or to auto; or raise spec.gpu.tensorParallelSize or "
        "gpuMemoryUtilization.",
        blames_spec=True,
    ),
    rule(
        r"To serve at least one request with the model's max seq len \((?P<length>\d+)\), \(?(?P<need>[\d.]+) GiB KV "
        r"cache is needed, which is larger than the available KV cache memory \((?P<have>[\d.]+) GiB\)",
        Reason.DOES_NOT_FIT_MEMORY,
        "One request of {length} tokens needs {need} GiB of KV cache, and {have} GiB are left for it.",
        f"Set spec.engine.maxModelLen lower, or to auto. {_SMALLER}",
        blames_spec=True,
    ),
    rule(
        r"No available memory for the cache blocks",
        Reason.DOES_NOT_FIT_MEMORY,
        "The weights and the engine's own needs leave nothing of the GPU's memory for a KV cache.",
        f"Raise spec.engine.gpuMemoryUtilization if it is low. {_SMALLER}",
        blames_spec=True,
    ),
    rule(
        r"Cannot auto-fit max_model_len: not enough GPU memory",
        Reason.DOES_NOT_FIT_MEMORY,
        "Not even one token fits beside the weights (maxModelLen auto).",
        _SMALLER,
        blames_spec=True,
    ),
    rule(
        r"CUDA out of memory occurred when warming up sampler with (?P<requests>\d+) dummy requests",
        Reason.DOES_NOT_FIT_MEMORY,
        "The GPU's memory ran out at the warm-up with {requests} requests at once.",
        "Set spec.engine.maxNumSeqs below {requests}, or lower spec.engine.gpuMemoryUtilization.",
    ),
    rule(
        r"(?:CUDA|HIP|XPU) out of memory\. Tried to allocate (?P<tried>[\d.]+ [KMG]iB)\. GPU (?P<gpu>\d+) has a total "
        r"capacity of (?P<total>[\d.]+ GiB) of which (?P<free>[\d.]+ [KMG]iB) is free",
        Reason.DOES_NOT_FIT_MEMORY,
        "The memory of GPU {gpu} ({total}) ran out: {tried} more were wanted, and {free} were free.",
        _SMALLER,
    ),
    rule(
        r"(?:CUDA|HIP|XPU) out of memory|CUDA error: out of memory",
        Reason.DOES_NOT_FIT_MEMORY,
        "The GPU's memory ran out.",
        _SMALLER,
    ),
    rule(
        r"Available memory on node \d+ \([\d.]+/(?P<total>[\d.]+) GiB\) on kv cache allocation is less than "
        r"requested memory for kv \(-[\d.]+/(?P<asked>[\d.]+) GiB\)",
        Reason.DOES_NOT_FIT_MEMORY,
        "Of the {asked} GiB that the engine (CPU build) may use of the host's {total} GiB, none are left for its KV "
        "cache.",
        "Raise spec.engine.gpuMemoryUtilization, which is the share of the host's memory here, or "
        "spec.resources.limits.memory.",
    ),
    rule(
        r"Available memory on node (?P<node>\d+) \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on [^\n]{1,40} is "
        r"less than "
        r"[^\n(]{1,80}\((?:[\d.]+, )?(?P<want>[\d.]+)",
        Reason.DOES_NOT_FIT_MEMORY,
        "Of the host's {total} GiB {free} are free, and the engine (CPU build) wants {want} GiB.",
        "Lower spec.engine.gpuMemoryUtilization, which is the share of the host's memory here.",
    ),
    rule(
        r"User-specified max_model_len \((?P<length>\d+)\) is greater than the derived max_model_len "
        r"\((?P<key>\w+)=(?P<limit>\d+)",
        Reason.CONTEXT_TOO_LONG,
        "spec.engine.maxModelLen {length} is more than the model's context of {limit} tokens (derived max_model_len, "
        "{key} in its config.json).",
        "Set spec.engine.maxModelLen to {limit} or less, or to auto.",
        blames_spec=True,
    ),
    rule(
        r"max_num_batched_tokens \((?P<tokens>\d+)\) must be greater than or equal to max_num_seqs \((?P<seqs>\d+)\)",
        Reason.BATCH_TOO_SMALL,
        "A step takes {tokens} tokens (maxNumBatchedTokens), which are fewer than {seqs} sequences (maxNumSeqs).",
        "Raise spec.engine.maxNumBatchedTokens to {seqs} or more, or lower spec.engine.maxNumSeqs.",
        blames_spec=True,
    ),
    rule(
        r"max_num_batched_tokens \((?P<tokens>\d+)\) is smaller than max_model_len \((?P<length>\d+)\)",
        Reason.BATCH_TOO_SMALL,
        "Without chunked prefill a whole prompt of up to {length} tokens has to fit one step, and a step takes "
        "{tokens}.",
        "Raise spec.engine.maxNumBatchedTokens to {length}, lower spec.engine.maxModelLen, or leave chunked "
        "prefill on.",
        blames_spec=True,
    ),
    rule(
        r"Total number of attention heads \((?P<heads>\d+)\) must be divisible by tensor parallel size \((?P<tp>\d+)\)",
        Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS,
        "The model has {heads} attention heads, which {tp} GPUs cannot share evenly.",
        "Set spec.gpu.tensorParallelSize to a divisor of {heads}.",
        blames_spec=True,
    ),
    rule(
        r"(?P<size>\d+) is not divisible by (?P<block>weight quantization block_[nk] = \d+)",
        Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS,
        "A GPU's share of a layer ({size}) is no multiple of the checkpoint's {block}.",
        "Lower spec.gpu.tensorParallelSize.",
        blames_spec=True,
    ),
    rule(
        r"AssertionError: (?P<size>\d+) is not divisible by (?P<tp>\d+)",
        Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS,
        "A size of the model ({size}) cannot be split over {tp} GPUs.",
        "Set spec.gpu.tensorParallelSize to a divisor of {size}.",
        blames_spec=True,
    ),
    rule(
        r"World size \((?P<world>\d+)\) is larger than the number of available GPUs \((?P<gpus>\d+)\) in this node",
        Reason.TOO_MANY_GPUS,
        "A replica needs {world} GPUs, and its pod sees {gpus}.",
        "Lower spec.gpu.tensorParallelSize or pipelineParallelSize, or choose a spec.gpu.profile with a "
        "resourceName and "
        "larger nodes.",
    ),
)
