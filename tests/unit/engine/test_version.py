"""Which vLLM an image holds."""

import pytest

from llmfleet.api.settings import Settings
from llmfleet.engine.version import NEWEST_KNOWN, Version, assumed_version, parse, version_of


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v0.32.0", Version(0, 32, 0)),
        ("0.32", Version(0, 32, 0)),
        ("v0.10.2-x86_64", Version(0, 10, 2)),
        ("v0.33.0rc1", Version(0, 33, 0)),
        ("0.23.1rc0", Version(0, 23, 1)),
        ("0.32.0+cpu", Version(0, 32, 0)),
        ("v0.8.5.post1", Version(0, 8, 5)),
        ("latest", None),
        ("nightly-0.32.0", None),
        ("", None),
        ("32", None),
        ("v0.32.0x", None),
        ("20261105.1", None),
        ("v0.32.0\n", None),
    ],
)
def test_a_text_is_read(text: str, version: Version | None) -> None:
    assert parse(text) == version


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("vllm/vllm-openai:v0.32.0", Version(0, 32, 0)),
        ("localhost:5000/team/vllm:v0.9.2", Version(0, 9, 2)),
        ("localhost:5000/team/vllm", None),
        ("vllm/vllm-openai", None),
        ("vllm/vllm-openai:v0.32.0@sha256:ab", Version(0, 32, 0)),
        ("vllm/vllm-openai@sha256:ab", None),
        ("vllm/vllm-openai:latest", None),
    ],
)
def test_a_tag_tells(image: str, version: Version | None) -> None:
    assert version_of(image, Settings()) == version


def test_versions_compare_as_numbers() -> None:
    assert Version(0, 9, 2) < Version(0, 10, 0) < Version(0, 10, 1) < Version(1, 0)


def test_the_settings_decide_against_the_tag_and_the_first_match_wins() -> None:
    settings = Settings.parse({"engine": {"versions": {"a/*": "0.30.0", "a/b:*": "0.1.0"}}})
    assert version_of("a/b:v0.32.0", settings) == Version(0, 30, 0)
    assert version_of("c/b:v0.32.0", settings) == Version(0, 32, 0)


def test_an_unknown_version_is_taken_for_the_default_images() -> None:
    assert assumed_version("x:latest", Settings.parse({"engine": {"defaultImage": "y:v0.20.1"}})) == Version(0, 20, 1)
    assert assumed_version("x:latest", Settings.parse({"engine": {"defaultImage": "y:latest"}})) == NEWEST_KNOWN
    assert assumed_version("x:v0.9.0", Settings()) == Version(0, 9, 0)


def test_a_version_reads_as_vllm_writes_it() -> None:
    assert str(Version(0, 8, 5)) == "0.8.5"
