"""Texts about GPUs, drivers, the network between processes, and the engine's death.

Sources: torch 2.x and CUDA's own words; NVIDIA's Xid catalogue; vLLM 0.32.0 `config/device.py`,
`distributed/device_communicators/pynccl_wrapper.py`, `v1/executor/multiproc_executor.py`, `v1/engine/exceptions.py`.
"""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Kind, Rule, rule

_NODE = "The administrator has to look at the node; another node may do."

RULES: tuple[Rule, ...] = (
    rule(
        r"The NVIDIA driver on your system is too old \(found version (?P<major>\d\d)0(?P<minor>\d)0\)",
        Reason.GPU_UNAVAILABLE,
        "The node's NVIDIA driver is too old for the image (it speaks CUDA {major}.{minor}).",
        "The administrator updates the driver, sets VLLM_ENABLE_CUDA_COMPATIBILITY=1 in engine.extraEnv, or you set "
        "spec.engine.image to an image with an older CUDA (vLLM before 0.20 has 12.9).",
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"CUDA driver version is insufficient for CUDA runtime version|forward compatibility was attempted on non "
        r"supported HW",
        Reason.GPU_UNAVAILABLE,
        "The node's NVIDIA driver is too old for the image.",
        "The administrator updates the driver, or you set spec.engine.image to an image with an older CUDA.",
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"no kernel image is available for execution on the device|not compatible with the current PyTorch "
        r"installation",
        Reason.GPU_UNAVAILABLE,
        "The image holds no kernels for this kind of GPU.",
        "Choose another spec.gpu.profile, or set spec.engine.image to a vLLM that supports the GPU.",
    ),
    rule(
        r"Failed to infer device type|No CUDA GPUs are available|no CUDA-capable device is detected|Found no NVIDIA "
        r"driver on your system|libcuda\.so\.1: cannot open shared object file|No HIP GPUs are available",
        Reason.GPU_UNAVAILABLE,
        "The engine finds no GPU in its pod.",
        "spec.gpu.profile must be one with a resourceName, and the node needs its device plugin and the runtime "
        "class of "
        "the GPU's container toolkit.",
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"uncorrectable (?:NVLink|ECC) error|Xid \([^)\n]{1,40}\)(?P<xid>: \d{1,3})|fallen off the bus|CUDA error: "
        r"(?:an illegal instruction|hardware stack error|unspecified launch failure|device not ready)|GPU is lost",
        Reason.GPU_FAULT,
        "The GPU reports a hardware fault{xid}.",
        _NODE,
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"CUDA error: all CUDA-capable devices are busy or unavailable",
        Reason.GPU_MEMORY_IN_USE,
        "The GPU is in use by another process.",
        "It is tried again; nothing else should run on the GPU.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"posix_fallocate failed|Error while creating shared memory segment [^\n]{0,80}|unable to "
        r"(?:mmap|allocate shared "
        r"memory)[^\n]{0,80}|Bus error \(core dumped\)|insufficient shared memory \(shm\)|"
        r"Insufficient space in /dev/shm",
        Reason.SHARED_MEMORY_EXHAUSTED,
        "The shared memory (/dev/shm) is too small for the engine's processes.",
        "Raise spec.resources.limits.memory, which counts /dev/shm too; with spec.gpu.tensorParallelSize above 1 the "
        "operator mounts 1 GiB of it for each GPU.",
    ),
)

WEAK_RULES: tuple[Rule, ...] = (
    rule(
        r"NCCL error[^\n:]{0,10}(?P<why>: [^\n]{1,160})|ncclUnhandledCudaError|ncclSystemError(?P<other>: "
        r"[^\n]{1,160})|DistBackendError[^\n]{0,160}|ncclRemoteError|RCCL error",
        Reason.COMMUNICATION_FAILED,
        "The GPUs of the replica could not talk to one another (NCCL){why}{other}.",
        f"Check /dev/shm, the GPUs' links and the node's drivers; NCCL_DEBUG=INFO in spec.engine.env tells more. "
        f"{_NODE}",
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"Worker proc (?P<name>[\w\-]{1,40}) died unexpectedly \(exit code: (?P<code>-?\d{1,4})",
        Reason.ENGINE_DIED,
        "The worker process {name} was ended from outside (code {code}; -9 is a kill, most often for the host's "
        "memory).",
        "Raise spec.resources.limits.memory, or look at the node's events.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"EngineDeadError|Engine core proc[^\n]{0,40} died unexpectedly|Engine core process [^\n]{0,40}died "
        r"unexpectedly",
        Reason.ENGINE_DIED,
        "The engine's process died while the server ran, without a cause in its last words.",
        "Look at `kubectl logs --previous` of the pod: memory of the host or of the GPU that ran out is the "
        "usual cause.",
        kind=Kind.TRANSIENT,
    ),
    rule(
        r"KeyboardInterrupt: terminated|KeyboardInterrupt: MQLLMEngine terminated",
        Reason.START_TIMED_OUT,
        "The engine was ended while it loaded: it was not ready in time.",
        "Raise spec.startup.timeoutSeconds, or keep weights and compiled kernels on a volume.",
    ),
    rule(
        r"Failed core proc\(s\): \{[^}\n]{0,60}: -9\b",
        Reason.ENGINE_DIED,
        "The engine's process was killed (SIGKILL) while it loaded, most often for the host's memory.",
        "Raise spec.resources.limits.memory and requests.memory.",
        kind=Kind.TRANSIENT,
    ),
)
