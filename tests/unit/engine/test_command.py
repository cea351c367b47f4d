"""The command line, and that vLLM's own parser knows every flag on it."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.api.reserved import BLINDING_FLAGS, OWNED_FLAGS, refused_flags
from llmfleet.engine.command import argv, literal
from llmfleet.engine.flags import EXACT_ALLOWED, FIELDS, HOUSEKEEPING
from llmfleet.engine.version import Version
from tests.unit.engine.objects import COMMIT, deployment

HELP = (Path(__file__).parents[1] / "data" / "vllm-0.32.0-serve-flags.txt").read_text()
KNOWN = set(re.findall(r"(?:^|, )(--?[A-Za-z][A-Za-z0-9_.-]*)", HELP, re.MULTILINE))
"""Every flag that `vllm serve --help=all` of 0.32.0 lists, one line for each with its other names."""
V32 = Version(0, 32, 0)
OWN = ["--host=0.0.0.0", "--port=8000", "--disable-access-log-for-endpoints=/health,/metrics", "--shutdown-timeout=120"]
NAME = ["--served-model-name", "qwen"]
MEMORY = "--gpu-memory-utilization=0.9"


def line(version: Version = V32, **spec: Any) -> list[str]:
    return argv(deployment(**spec).spec, name="qwen", version=version)


def test_a_minimal_spec() -> None:
    assert line() == ["vllm", "serve", "Qwen/Qwen3-8B", *NAME, MEMORY, *OWN]


def test_every_field_in_a_fixed_order() -> None:
    engine = {
        "maxNumBatchedTokens": 4096,
        "maxNumSeqs": 128,
        "maxModelLen": 8192,
        "gpuMemoryUtilization": 0.85,
        "quantization": "awq",
        "dtype": "half",
        "extraArgs": ["--seed", "7"],
    }
    model = {"revision": COMMIT, "trustRemoteCode": True, "servedNames": ["a/b", "c"]}
    assert line(engine=engine, model=model, gpu={"tensorParallelSize": 2}, drain={"timeoutSeconds": 30}) == [
        "vllm",
        "serve",
        "Qwen/Qwen3-8B",
        "--served-model-name",
        "a/b",
        "c",
        f"--revision={COMMIT}",
        f"--code-revision={COMMIT}",
        "--trust-remote-code",
        "--dtype=half",
        "--quantization=awq",
        "--gpu-memory-utilization=0.85",
        "--max-model-len=8192",
        "--max-num-seqs=128",
        "--max-num-batched-tokens=4096",
        "--tensor-parallel-size=2",
        *OWN[:-1],
        "--shutdown-timeout=30",
        "--seed",
        "7",
    ]


@pytest.mark.parametrize(
    ("source", "argument"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("hf://Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("pvc://claim", "/model"),
        ("pvc://claim/a/b.c", "/model/a/b.c"),
        ("s3://bucket/models/qwen3/", "s3://bucket/models/qwen3"),
        ("oci://registry.example:5000/m@sha256:00", "/model"),
        ("oci://registry.example/m:1#models/qwen3", "/model/models/qwen3"),
    ],
)
def test_the_model_argument(source: str, argument: str) -> None:
    assert line(source=source)[2] == argument


@pytest.mark.parametrize(
    "source",
    [
        "gpt2",
        "s3://bucket",
        "s3://b/../x",
        "oci://",
        "oci://a#/x",
        "pvc://claim/../x",
        "--model/x",
        "hf://a/b/c",
        "a/b\n",
    ],
)
def test_an_unknown_source_is_an_error(source: str) -> None:
    with pytest.raises(ValueError, match="none of hf://ORG/NAME, pvc://CLAIM/PATH"):
        line(source=source)


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        (Version(0, 28), []),
        (Version(0, 27, 9), ["--shutdown-timeout=120"]),
        (Version(0, 16), ["--shutdown-timeout=120"]),
        (Version(0, 15, 9), OWN[2:]),
    ],
)
def test_an_old_version_gets_no_flag_that_it_does_not_have(version: Version, absent: list[str]) -> None:
    assert line(version) == [item for item in line() if item not in absent]


def test_auto_model_length_goes_to_versions_that_have_it() -> None:
    auto = "--max-model-len=auto"
    assert auto in line(Version(0, 14), engine={"maxModelLen": "auto"})
    assert auto not in line(Version(0, 13, 9), engine={"maxModelLen": "auto"})


def test_vllm_knows_every_flag_that_is_used_or_refused() -> None:
    used = {flag.name for flag in (*FIELDS, *HOUSEKEEPING)} | EXACT_ALLOWED
    assert used | {"--served-model-name"} <= KNOWN
    assert refused_flags().keys() - KNOWN <= set(BLINDING_FLAGS)  # of which one is the other's opposite


def test_every_flag_of_a_field_is_owned() -> None:
    """A flag that a tenant could also put into extraArgs would win over the field."""
    used = {flag.name for flag in (*FIELDS, *HOUSEKEEPING)} - {"--disable-access-log-for-endpoints"}
    assert used | {"--served-model-name"} <= OWNED_FLAGS.keys()


def test_a_flag_that_begins_a_refused_one_is_allowed_only_when_it_exists() -> None:
    refused = refused_flags()
    begins = {flag for flag in KNOWN - refused.keys() for other in refused if other.startswith(flag)}
    assert begins == EXACT_ALLOWED


def expand(text: str, values: dict[str, str]) -> str:
    """What the kubelet makes of a text (Kubernetes third_party/forked/golang/expansion)."""
    out, at = "", 0
    while at < len(text):
        if text[at] != "$" or at + 1 == len(text):
            out, at = out + text[at], at + 1
        elif text[at + 1] == "$":
            out, at = out + "$", at + 2
        elif text[at + 1] == "(" and (end := text.find(")", at)) > 0:
            out, at = out + values.get(text[at + 2 : end], text[at : end + 1]), end + 1
        else:
            out, at = out + text[at : at + 2], at + 2
    return out


def test_the_kubelet_expands() -> None:
    assert expand("a$(X)$$(X)$(Y)$b$", {"X": "1"}) == "a1$(X)$(Y)$b$"


@given(st.text("$()X a", max_size=12))
def test_a_literal_survives_the_kubelet(text: str) -> None:
    assert expand(literal(text), {"X": "secret", "": "?", "X a": "?"}) == text
