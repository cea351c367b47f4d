"""What is known to fail or to be risky in a spec, before a pod is started. Feeds the SpecValid condition.

Small functions in a fixed order; each looks at one thing and returns a sentence that says what to do. The API server
has refused most nonsense already (the CRD's rules); here stands what needs the administrator's settings or more than
CEL, and again what matters for security, because objects stored before a rule are not judged by it.
"""

from collections.abc import Callable

from llmfleet.api.cache import AccessMode
from llmfleet.api.conditions import Reason
from llmfleet.api.engine import Dtype
from llmfleet.api.reserved import is_reserved_variable
from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine import arguments, feasibility, modes, release, source
from llmfleet.engine.memory.planning import Outlook, case, outlook
from llmfleet.engine.methods import BFLOAT16, capability_of
from llmfleet.engine.problem import Problem, Severity, warning
from llmfleet.engine.version import image_of

SAFE_UTILIZATION = 0.95
"""Above this share of the GPU's memory, spikes and CUDA graphs have been seen to end in out-of-memory errors."""

Check = Callable[[LLMDeployment, Settings], Problem | None]


def check(deployment: LLMDeployment, settings: Settings, *, seen: Outlook | None = None) -> list[Problem]:
    """Everything that is known against the spec; errors first.

    Args:
        deployment: the object.
        settings: the administrator's.
        seen: its memory plan, where it is at hand.
    """
    found = [problem for judge in CHECKS if (problem := judge(deployment, settings))]
    found += feasibility.problems(seen or outlook(case(deployment, settings)))
    return sorted(found, key=lambda problem: problem.severity is Severity.WARNING)


def source_is_known(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """The model's source is in one of the forms that there are."""
    try:
        source.parse(deployment.spec.model.source)
    except ValueError as error:
        return Problem(Reason.NOT_READABLE, f"{error}: correct it")
    return None


def profile_exists(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The GPU profile is one of the settings'."""
    wanted = deployment.spec.gpu.profile
    if settings.profile(wanted):
        return None
    names = ", ".join(profile.name for profile in settings.gpu_profiles)
    remedy = f"set spec.gpu.profile to one of: {names}" if names else "the administrator has to add gpuProfiles"
    missing = f"There is no GPU profile {wanted!r}" if wanted else "No GPU profile is the default one"
    return Problem(Reason.PROFILE_NOT_FOUND, f"{missing} in the operator's settings: {remedy}.")


def image_is_allowed(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The image is one that tenants may run."""
    image = image_of(deployment.spec, settings)
    if settings.engine.allows(image):
        return None
    allowed = ", ".join([settings.engine.default_image, *settings.engine.allowed_images])
    return Problem(
        Reason.IMAGE_NOT_ALLOWED,
        f"The operator's settings do not allow the image {image}: leave spec.engine.image out, or choose one that "
        f"matches: {allowed}.",
    )


def remote_code_is_pinned(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """Code of a model repository runs only from a fixed commit."""
    model = deployment.spec.model
    try:
        if not model.trust_remote_code or source.is_pinned(model):
            return None
    except ValueError:
        return None  # `source_is_known` says so
    return Problem(
        Reason.FORBIDDEN,
        "spec.model.trustRemoteCode runs code of the model repository: set spec.model.revision to a full "
        "40-character commit.",
    )


def arguments_are_free(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """No extra argument is, or will be read as, a flag that a field owns or that is unsafe."""
    refusals = list(arguments.refusals(deployment.spec.engine.extra_args))
    return Problem(Reason.FORBIDDEN, f"spec.engine.extraArgs: {'; '.join(refusals)}.") if refusals else None


def environment_is_free(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """No environment variable takes what the operator sets, loads code, or opens endpoints."""
    refused = [variable.name for variable in deployment.spec.engine.env if is_reserved_variable(variable.name)]
    if not refused:
        return None
    return Problem(
        Reason.FORBIDDEN,
        f"spec.engine.env: remove {', '.join(refused)}: such variables are set by the operator, or would load code "
        "or open endpoints.",
    )


def gpus_are_on_one_node(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """A replica does not ask for more GPUs than a node has."""
    wanted, profile = deployment.spec.gpu.count, _profile(deployment, settings)
    if profile is None or wanted <= profile.gpus_per_node:
        return None
    return Problem(
        Reason.TOO_MANY_GPUS,
        f"A replica asks for {wanted} GPUs, and a node of the profile {profile.name} has {profile.gpus_per_node}: "
        "lower spec.gpu.tensorParallelSize (or pipelineParallelSize), or choose a profile with larger nodes.",
    )


def source_is_available(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The settings do not rule the model's source out."""
    spec = deployment.spec
    try:
        model = source.parse(spec.model.source)
    except ValueError:
        return None  # `source_is_known` says so
    if isinstance(model, source.ImageModel) and not settings.models.image_volumes:
        words = (
            "An oci:// source needs image volumes (Kubernetes 1.35, or the feature gate ImageVolume before): where the "
            "cluster has them, the administrator sets models.imageVolumes in the operator's settings; or use another "
            "source."
        )
        return Problem(Reason.MODEL_SOURCE_UNAVAILABLE, words)
    if isinstance(model, source.HubModel) and settings.models.hub.offline and not spec.cache.is_shared:
        words = (
            f"The operator's settings say models.hub.offline, so {model.repository} cannot be downloaded: use pvc://, "
            "s3:// or oci:// in spec.model.source, or name a claim that has the model in spec.cache.claimName."
        )
        return Problem(Reason.MODEL_SOURCE_UNAVAILABLE, words)
    return None


def cache_is_shareable(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """One claim serves as many replicas as there may be."""
    spec = deployment.spec
    if not spec.cache.is_shared or spec.cache.access_mode is AccessMode.READ_WRITE_MANY:
        return None
    most = spec.scaling.max_replicas if spec.scaling else spec.replicas
    if most > 1:
        return Problem(
            Reason.CACHE_NOT_SHAREABLE,
            f"spec.cache is one volume with the access mode {spec.cache.access_mode}, and there may be {most} replicas "
            "on different nodes: set spec.cache.accessMode to ReadWriteMany (on storage that has it), or "
            "spec.cache.perReplica to true, or keep to one replica.",
        )
    if spec.rollout.max_surge == 0:
        return None
    return warning(
        f"spec.cache is one volume with the access mode {spec.cache.access_mode}, so a new replica on another node "
        "cannot start before the old one is gone: set spec.rollout to maxSurge 0 and maxUnavailable 1."
    )


def gpu_computes_the_dtype(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The GPU has bfloat16 where the spec asks for it."""
    profile = _profile(deployment, settings)
    if profile is None or deployment.spec.engine.dtype is not Dtype.BFLOAT16:
        return None
    capability = capability_of(profile.compute_capability)
    if capability is None or capability >= BFLOAT16:
        return None
    return Problem(
        Reason.DTYPE_UNSUPPORTED_ON_GPU,
        f"bfloat16 needs compute capability 8.0, and the profile {profile.name} has {profile.compute_capability}: "
        "set spec.engine.dtype to half, or leave it out.",
    )


def memory_has_room(deployment: LLMDeployment, _: Settings) -> Problem | None:
    """Something of the GPU's memory is left for CUDA graphs and spikes."""
    utilization = deployment.spec.engine.gpu_memory_utilization
    if utilization <= SAFE_UTILIZATION:
        return None
    return warning(
        f"spec.engine.gpuMemoryUtilization {utilization} leaves little for CUDA graphs and spikes, and the engine may "
        f"run out of memory under load: {SAFE_UTILIZATION} or less is safe."
    )


CHECKS: tuple[Check, ...] = (
    source_is_known,
    profile_exists,
    image_is_allowed,
    remote_code_is_pinned,
    arguments_are_free,
    environment_is_free,
    gpus_are_on_one_node,
    source_is_available,
    cache_is_shareable,
    modes.mode_is_available,
    release.knows_the_flags,
    release.knows_the_arguments,
    gpu_computes_the_dtype,
    memory_has_room,
    modes.delay_is_kept,
    release.is_known,
    release.loads_safely,
    release.guards_the_key,
    release.drains,
)
"""Every check; what makes the others meaningless stands first."""


def _profile(deployment: LLMDeployment, settings: Settings) -> GpuProfile | None:
    return settings.profile(deployment.spec.gpu.profile)
