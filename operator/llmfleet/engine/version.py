"""Which vLLM an image holds: from its tag, or from the administrator's patterns. Feeds flags, drain and checks.

vLLM tags its images `v0.32.0`, with suffixes for builds (`v0.32.0-x86_64`, `v0.33.0rc1`); `latest`, `nightly` and
digests say nothing, so such an image needs a pattern in the settings (`engine.versions`).
"""

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeploymentSpec

_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?:[-+_].*|\.?(?:rc|post|dev)\d.*)?", re.ASCII)


class Version(NamedTuple):
    """A vLLM release; versions compare as numbers. Pre-releases and builds count as their release."""

    major: int
    minor: int
    patch: int = 0

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


NEWEST_KNOWN = Version(0, 33, 0)
"""The newest release whose flags and behaviour this package knows."""


def parse(text: str) -> Version | None:
    """Read `0.32.0`, `v0.32`, `v0.33.0rc1` or `v0.32.0-x86_64`; None for anything else."""
    match = _VERSION.fullmatch(text)
    return Version(int(match[1]), int(match[2]), int(match[3] or 0)) if match else None


def image_of(spec: LLMDeploymentSpec, settings: Settings) -> str:
    """The image that the spec asks for, or the settings' default."""
    return spec.engine.image or settings.engine.default_image


def version_of(image: str, settings: Settings) -> Version | None:
    """The vLLM version of an image; None where neither the settings nor the tag tell.

    The first pattern of the settings that matches decides, also against the tag.
    """
    for pattern, version in settings.engine.versions.items():
        if fnmatchcase(image, pattern):
            return parse(version)
    return parse(_tag(image))


def as_told(settings: Settings, image: str, told: str) -> Settings:
    """The settings with the version that the engines of an image tell, where nothing else says it."""
    if version_of(image, settings) or not parse(told):
        return settings
    engine = settings.engine.model_copy(update={"versions": {image: told} | settings.engine.versions})
    return settings.model_copy(update={"engine": engine})


def assumed_version(image: str, settings: Settings) -> Version:
    """The version whose flags and behaviour are counted on: an unknown one is taken for the default image's."""
    default = settings.engine.default_image
    return version_of(image, settings) or version_of(default, settings) or NEWEST_KNOWN


def _tag(image: str) -> str:
    """The tag of a reference such as `host:5000/team/vllm:v0.32.0@sha256:...`; empty where there is none."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]
