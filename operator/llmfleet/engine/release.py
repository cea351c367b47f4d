"""What the vLLM release in use has against a spec: flags that it lacks, and faults of its own. Part of `checks`."""

from llmfleet.api.conditions import Reason
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine import known_flags
from llmfleet.engine.flags import FIELDS, SHUTDOWN_TIMEOUT_EXISTS, SHUTDOWN_TIMEOUT_WORKS
from llmfleet.engine.problem import Problem, warning
from llmfleet.engine.version import Version, assumed_version, image_of, version_of

API_KEY_HOLDS = Version(0, 22, 0)
"""Before, the key could be passed by with a forged Host header (CVE-2026-48746), and /v2 and /inference had none."""
NO_CODE_AT_LOAD = SHUTDOWN_TIMEOUT_EXISTS
"""Before, a model repository could run code in spite of trustRemoteCode: false (CVE-2026-27893, CVE-2026-22807)."""


def knows_the_flags(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The vLLM in use has every flag that the spec needs."""
    image = image_of(deployment.spec, settings)
    version = assumed_version(image, settings)
    unknown = [flag for flag in FIELDS if flag.since > version and flag.arguments(deployment.spec)]
    if not unknown:
        return None
    needs = "; ".join(f"{flag.field} needs vLLM {flag.since} or newer" for flag in unknown)
    return Problem(
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        f"{needs}, and {image} is vLLM {version}: remove the field or take a newer image.",
    )


def knows_the_arguments(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The vLLM in use has every flag among the extra arguments; an error only where its version is known."""
    image = image_of(deployment.spec, settings)
    known = version_of(image, settings)
    version = known or assumed_version(image, settings)
    unknown = list(known_flags.unknown(deployment.spec.engine.extra_args, version))
    if not unknown:
        return None
    words = (
        f"spec.engine.extraArgs: {'; '.join(unknown)}; {image} is {'' if known else 'taken for '}vLLM {version}, and "
        "the engine ends at once over a flag that it does not know: correct or remove it, or take another image."
    )
    return Problem(Reason.FLAG_UNKNOWN_TO_ENGINE, words) if known else warning(words)


def is_known(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The image tells its vLLM version."""
    image = image_of(deployment.spec, settings)
    if version_of(image, settings):
        return None
    return warning(
        f"The vLLM version of {image} is not known, and {assumed_version(image, settings)} is assumed: use an image "
        "whose tag is a version, or have the administrator add the image to engine.versions of the operator's settings."
    )


def loads_safely(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The model's repository cannot run code uninvited."""
    version = version_of(image_of(deployment.spec, settings), settings)
    if version is None or version >= NO_CODE_AT_LOAD:
        return None
    return warning(
        f"vLLM {version} may run code of the model repository even with trustRemoteCode false (CVE-2026-27893): use "
        f"{NO_CODE_AT_LOAD} or newer."
    )


def guards_the_key(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The API key cannot be passed by."""
    version = version_of(image_of(deployment.spec, settings), settings)
    if version is None or version >= API_KEY_HOLDS or deployment.spec.access.api_key_secret_ref is None:
        return None
    return warning(f"The API key of vLLM {version} can be passed by (CVE-2026-48746): use {API_KEY_HOLDS} or newer.")


def drains(deployment: LLMDeployment, settings: Settings) -> Problem | None:
    """The engine finishes its running requests when told to stop."""
    version = assumed_version(image_of(deployment.spec, settings), settings)
    if version >= SHUTDOWN_TIMEOUT_WORKS:
        return None
    return warning(
        f"vLLM {version} does not reliably finish running requests when told to stop, so each replica that goes keeps "
        f"its GPUs for the whole spec.drain.timeoutSeconds ({deployment.spec.drain.timeout_seconds} s): use "
        f"{SHUTDOWN_TIMEOUT_WORKS} or newer, or shorten it."
    )
