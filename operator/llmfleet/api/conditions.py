"""Condition types and their reasons: a closed enumeration that is part of the API.

Each reason carries the sentence that documents it; `operator/README.md` prints this table.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition is about. Independent of one another; set from the operator's first visit on."""

    READY = "Ready"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    SPEC_VALID = "SpecValid"
    SCALING_ACTIVE = "ScalingActive"


class Reason(StrEnum):
    """Why a condition is what it is."""

    # Ready
    AVAILABLE = "Available"
    STARTING = "Starting"
    ROLLING_OUT = "RollingOut"
    DEGRADED = "Degraded"
    ENGINE_HUNG = "EngineHung"
    INVALID = "Invalid"
    SUSPENDED = "Suspended"
    # Available
    MINIMUM_READY = "MinimumReady"
    NONE_READY = "NoneReady"
    SCALED_TO_ZERO = "ScaledToZero"
    # Progressing
    COMPLETE = "Complete"
    UNSCHEDULABLE = "Unschedulable"
    PULLING_IMAGE = "PullingImage"
    LOADING = "Loading"
    DRAINING = "Draining"
    STUCK = "Stuck"
    START_HELD = "StartHeld"
    # Progressing, when a start fails (and those of SpecValid, where the spec is to blame)
    ARGUMENT_REFUSED = "ArgumentRefused"
    REMOTE_CODE_REQUIRED = "RemoteCodeRequired"
    MODEL_NOT_FOUND = "ModelNotFound"
    MODEL_ACCESS_DENIED = "ModelAccessDenied"
    MODEL_UNSUPPORTED = "ModelUnsupported"
    MODEL_BROKEN = "ModelBroken"
    ADAPTER_REFUSED = "AdapterRefused"
    HUB_UNREACHABLE = "HubUnreachable"
    DISK_FULL = "DiskFull"
    NOT_WRITABLE = "NotWritable"
    CACHE_CORRUPT = "CacheCorrupt"
    GPU_MEMORY_IN_USE = "GPUMemoryInUse"
    GPU_UNAVAILABLE = "GPUUnavailable"
    GPU_FAULT = "GPUFault"
    COMMUNICATION_FAILED = "CommunicationFailed"
    HOST_MEMORY_EXHAUSTED = "HostMemoryExhausted"
    SHARED_MEMORY_EXHAUSTED = "SharedMemoryExhausted"
    START_TIMED_OUT = "StartTimedOut"
    ENGINE_DIED = "EngineDied"
    EVICTED = "Evicted"
    IMAGE_UNUSABLE = "ImageUnusable"
    CONFIGURATION_MISSING = "ConfigurationMissing"
    # SpecValid
    VALID = "Valid"
    VALID_WITH_WARNINGS = "ValidWithWarnings"
    NOT_READABLE = "NotReadable"
    PROFILE_NOT_FOUND = "ProfileNotFound"
    IMAGE_NOT_ALLOWED = "ImageNotAllowed"
    FORBIDDEN = "Forbidden"
    NAME_CONFLICT = "NameConflict"
    TOO_MANY_GPUS = "TooManyGPUs"
    FLAG_UNKNOWN_TO_ENGINE = "FlagUnknownToEngine"
    DTYPE_UNSUPPORTED_ON_GPU = "DtypeUnsupportedOnGPU"
    DOES_NOT_FIT_MEMORY = "DoesNotFitMemory"
    TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS = "TensorParallelDoesNotDivideHeads"
    QUANTIZATION_UNSUPPORTED_ON_GPU = "QuantizationUnsupportedOnGPU"
    QUANTIZATION_MISMATCH = "QuantizationMismatch"
    CONTEXT_TOO_LONG = "ContextTooLong"
    BATCH_TOO_SMALL = "BatchTooSmall"
    MODEL_SOURCE_UNAVAILABLE = "ModelSourceUnavailable"
    CACHE_NOT_SHAREABLE = "CacheNotShareable"
    SCALING_MODE_UNAVAILABLE = "ScalingModeUnavailable"
    REFUSED_BY_CLUSTER = "RefusedByCluster"
    # ScalingActive
    SCALING = "Scaling"
    HELD_MISSING_METRICS = "HeldMissingMetrics"
    HELD_STALE = "HeldStale"
    HELD_AFTER_RESTART = "HeldAfterRestart"
    AT_MAXIMUM = "AtMaximum"
    QUOTA_EXCEEDED = "QuotaExceeded"
    INSUFFICIENT_GPU = "InsufficientGPU"
    REPLICAS_OWNED_ELSEWHERE = "ReplicasOwnedElsewhere"
    NO_ACTIVATOR = "NoActivator"
    AUTOSCALER_PENDING = "AutoscalerPending"
    AUTOSCALER_FAILED = "AutoscalerFailed"
    AUTOSCALER_PAUSED = "AutoscalerPaused"
    METRICS_API_MISSING = "MetricsAPIMissing"
    KEDA_MISSING = "KEDAMissing"
    DISABLED = "Disabled"


SENTENCES: dict[Reason, str] = {
    Reason.AVAILABLE: "The spec is applied and as many replicas as wanted answer.",
    Reason.STARTING: "Replicas are starting; none of an earlier spec is involved.",
    Reason.ROLLING_OUT: "A changed spec is on its way; replicas of the earlier one still serve.",
    Reason.DEGRADED: "Fewer replicas answer than wanted.",
    Reason.ENGINE_HUNG: "A replica has requests in flight and makes no engine step, although its health check passes.",
    Reason.INVALID: "The spec cannot be applied; SpecValid says why. What ran before still runs.",
    Reason.SUSPENDED: "spec.suspend is true: there are no pods.",
    Reason.MINIMUM_READY: "At least one replica answers requests.",
    Reason.NONE_READY: "No replica answers requests.",
    Reason.SCALED_TO_ZERO: "There is no replica, and a request would wake one.",
    Reason.COMPLETE: "No rollout or start is under way.",
    Reason.UNSCHEDULABLE: "A pod waits for a node: no free GPU, or no node that fits.",
    Reason.PULLING_IMAGE: "A pod waits for its image.",
    Reason.LOADING: "The engine downloads or loads the model, compiles, or warms up.",
    Reason.DRAINING: "Replicas that are no longer wanted finish their requests.",
    Reason.STUCK: "A rollout or start does not get on; the message has the cause.",
    Reason.START_HELD: "Starts failed alike; the GPUs are free until the next try, or an earlier spec serves.",
    Reason.ARGUMENT_REFUSED: "The engine refuses the value of an argument.",
    Reason.REMOTE_CODE_REQUIRED: "The model needs code of its repository, and model.trustRemoteCode is false.",
    Reason.MODEL_NOT_FOUND: "There is no such model, revision or path.",
    Reason.MODEL_ACCESS_DENIED: "The model's storage refuses the credentials, or wants some.",
    Reason.MODEL_UNSUPPORTED: "The vLLM in use does not know the model's architecture, tokenizer or format.",
    Reason.MODEL_BROKEN: "Files of the model are damaged or missing.",
    Reason.ADAPTER_REFUSED: "A LoRA adapter cannot be loaded.",
    Reason.HUB_UNREACHABLE: "The model hub or storage cannot be reached, or is overloaded.",
    Reason.DISK_FULL: "A volume, or the node's disk, has no space left.",
    Reason.NOT_WRITABLE: "The engine may not write where it has to, or its user is unknown to the image.",
    Reason.CACHE_CORRUPT: "Compiled kernels in the cache cannot be read.",
    Reason.GPU_MEMORY_IN_USE: "Another process holds memory of the GPU; often a replica that is on its way out.",
    Reason.GPU_UNAVAILABLE: "The engine finds no GPU, or its driver does not fit.",
    Reason.GPU_FAULT: "The GPU reports a hardware fault.",
    Reason.COMMUNICATION_FAILED: "The engine's processes cannot talk to one another.",
    Reason.HOST_MEMORY_EXHAUSTED: "The container was killed for its memory (not the GPU's).",
    Reason.SHARED_MEMORY_EXHAUSTED: "The shared memory of the container (/dev/shm) is too small, or full.",
    Reason.START_TIMED_OUT: "The engine was not ready within startup.timeoutSeconds.",
    Reason.ENGINE_DIED: "The engine's process ended without a known cause.",
    Reason.EVICTED: "The node put the pod out.",
    Reason.IMAGE_UNUSABLE: "The image cannot be pulled, or does not hold a vLLM.",
    Reason.CONFIGURATION_MISSING: "A Secret, ConfigMap or volume that the pod needs is not there.",
    Reason.VALID: "Nothing in the spec is known to fail.",
    Reason.VALID_WITH_WARNINGS: "The spec is applied, but something in it is known to be risky.",
    Reason.NOT_READABLE: "A stored object that today's rules would refuse; what ran before still runs.",
    Reason.PROFILE_NOT_FOUND: "gpu.profile names no profile of the operator's settings.",
    Reason.IMAGE_NOT_ALLOWED: "engine.image is not among the images that the operator's settings allow.",
    Reason.FORBIDDEN: "engine.extraArgs or engine.env holds something that a field owns or that is unsafe.",
    Reason.NAME_CONFLICT: "An object of somebody else has the name of a child; it is not taken over.",
    Reason.TOO_MANY_GPUS: "A replica asks for more GPUs than a node of the profile has.",
    Reason.FLAG_UNKNOWN_TO_ENGINE: "The vLLM in use does not have a flag that the spec needs.",
    Reason.DTYPE_UNSUPPORTED_ON_GPU: "The profile's GPU cannot compute in engine.dtype or engine.kvCacheDtype.",
    Reason.DOES_NOT_FIT_MEMORY: "The model certainly does not fit into the GPU's memory; the message says what would.",
    Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS: "gpu.tensorParallelSize does not divide the model's heads or widths.",
    Reason.QUANTIZATION_UNSUPPORTED_ON_GPU: "The profile's GPU has no kernels for the quantization.",
    Reason.QUANTIZATION_MISMATCH: "engine.quantization does not go with the checkpoint or with engine.dtype.",
    Reason.CONTEXT_TOO_LONG: "engine.maxModelLen is longer than the model takes.",
    Reason.BATCH_TOO_SMALL: "engine.maxNumBatchedTokens is less than a whole prompt or than the sequences of a step.",
    Reason.MODEL_SOURCE_UNAVAILABLE: "The operator's settings rule out the model's source.",
    Reason.CACHE_NOT_SHAREABLE: "The cache's volume cannot be mounted by as many replicas as there may be.",
    Reason.SCALING_MODE_UNAVAILABLE: "The operator's settings rule out spec.scaling.mode.",
    Reason.REFUSED_BY_CLUSTER: "The API server refuses a child object; the message has its words.",
    Reason.SCALING: "Replicas follow the load.",
    Reason.HELD_MISSING_METRICS: "A ready replica gives no usable metrics: replicas are not taken away.",
    Reason.HELD_STALE: "Metrics of a ready replica are too old or frozen: replicas are not taken away.",
    Reason.HELD_AFTER_RESTART: "The operator has not watched for a whole delay yet: replicas are not taken away.",
    Reason.AT_MAXIMUM: "More replicas are wanted than scaling.maxReplicas allows.",
    Reason.QUOTA_EXCEEDED: "More replicas are wanted than the namespace's quota allows.",
    Reason.INSUFFICIENT_GPU: "More replicas are wanted than there are free GPUs.",
    Reason.REPLICAS_OWNED_ELSEWHERE: "Somebody else keeps writing spec.replicas: the autoscaler stands back.",
    Reason.NO_ACTIVATOR: "No activator is there to wake the object, so its last replica stays, or nothing wakes it.",
    Reason.AUTOSCALER_PENDING: "The mode's autoscaler has not looked yet, or that of another mode has to go first.",
    Reason.AUTOSCALER_FAILED: "The mode's autoscaler cannot scale; the message has its words.",
    Reason.AUTOSCALER_PAUSED: "Somebody told the mode's autoscaler to pause.",
    Reason.METRICS_API_MISSING: "The cluster serves no metrics of the kind that the mode's autoscaler needs.",
    Reason.KEDA_MISSING: "The cluster has no KEDA, which spec.scaling.mode KEDA needs.",
    Reason.DISABLED: "spec.scaling is absent, or the object is suspended.",
}
"""Each reason with the sentence that documents it."""

START_FAILURES = frozenset(
    {
        Reason.DOES_NOT_FIT_MEMORY,
        Reason.CONTEXT_TOO_LONG,
        Reason.TENSOR_PARALLEL_DOES_NOT_DIVIDE_HEADS,
        Reason.BATCH_TOO_SMALL,
        Reason.QUANTIZATION_UNSUPPORTED_ON_GPU,
        Reason.QUANTIZATION_MISMATCH,
        Reason.DTYPE_UNSUPPORTED_ON_GPU,
        Reason.TOO_MANY_GPUS,
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        Reason.ARGUMENT_REFUSED,
        Reason.REMOTE_CODE_REQUIRED,
        Reason.MODEL_NOT_FOUND,
        Reason.MODEL_ACCESS_DENIED,
        Reason.MODEL_UNSUPPORTED,
        Reason.MODEL_BROKEN,
        Reason.ADAPTER_REFUSED,
        Reason.HUB_UNREACHABLE,
        Reason.DISK_FULL,
        Reason.NOT_WRITABLE,
        Reason.CACHE_CORRUPT,
        Reason.GPU_MEMORY_IN_USE,
        Reason.GPU_UNAVAILABLE,
        Reason.GPU_FAULT,
        Reason.COMMUNICATION_FAILED,
        Reason.HOST_MEMORY_EXHAUSTED,
        Reason.SHARED_MEMORY_EXHAUSTED,
        Reason.START_TIMED_OUT,
        Reason.ENGINE_DIED,
        Reason.EVICTED,
        Reason.IMAGE_UNUSABLE,
        Reason.CONFIGURATION_MISSING,
        Reason.STUCK,
    }
)
"""Why a start fails: all that Progressing may say of it."""


class Advice(StrEnum):
    """What a recommendation proposes: a closed enumeration that is part of the API."""

    RAISE_MAX_REPLICAS = "RaiseMaxReplicas"
    RAISE_MAX_NUM_SEQS = "RaiseMaxNumSeqs"
    RAISE_MAX_NUM_BATCHED_TOKENS = "RaiseMaxNumBatchedTokens"
    USE_FP8_KV_CACHE = "UseFP8KVCache"
    LOWER_MAX_NUM_SEQS = "LowerMaxNumSeqs"
    ENABLE_PREFIX_CACHING = "EnablePrefixCaching"
    LOWER_MIN_REPLICAS = "LowerMinReplicas"
    SET_SCALING = "SetScaling"
    USE_SMALLER_PROFILE = "UseSmallerProfile"


ADVICE: dict[Advice, str] = {
    Advice.RAISE_MAX_REPLICAS: "More than scaling.maxReplicas were wanted for 5 % of the time.",
    Advice.RAISE_MAX_NUM_SEQS: "Requests waited for 5 % of the time with as many in execution as engine.maxNumSeqs "
    "allows, and the KV cache less than half full.",
    Advice.RAISE_MAX_NUM_BATCHED_TOKENS: "The same, with steps as large as engine.maxNumBatchedTokens allows, and that "
    "below 2,048.",
    Advice.USE_FP8_KV_CACHE: "Preemptions went on for 5 % of the time, the KV cache has 16 bits, and the GPU has fp8.",
    Advice.LOWER_MAX_NUM_SEQS: "The same where fp8 is not to be had, or is in use.",
    Advice.ENABLE_PREFIX_CACHING: "Requests waited for 5 % of the time, and engine.prefixCaching is off.",
    Advice.LOWER_MIN_REPLICAS: "scaling.minReplicas or more were wanted for less than 1 % of a day.",
    Advice.SET_SCALING: "Several replicas without spec.scaling: the KV cache was less than a quarter full for 99 % "
    "of a day, and nothing waited.",
    Advice.USE_SMALLER_PROFILE: "The same on one replica, with requests for 5 % of the day or more.",
}
"""Each recommendation with its ground."""
