"""Flags by release: the table is right where vLLM's own help can be asked, and says what users need to know."""

import re
from pathlib import Path
from typing import Any

import pytest

from llmfleet.engine.command import argv
from llmfleet.engine.known_flags import INSTEAD, history, unknown
from llmfleet.engine.version import NEWEST_KNOWN, Version
from tests.unit.engine.objects import COMMIT, deployment

HELP = (Path(__file__).parents[1] / "data" / "vllm-0.32.0-serve-flags.txt").read_text()
LISTED = set(re.findall(r"(?:^|, )(--?[A-Za-z][A-Za-z0-9_.-]*)", HELP, re.MULTILINE))
V32 = Version(0, 32, 0)
FULL: dict[str, Any] = {
    "model": {"revision": COMMIT, "trustRemoteCode": True},
    "engine": {
        "dtype": "half",
        "quantization": "fp8",
        "maxModelLen": 4096,
        "maxNumSeqs": 4,
        "maxNumBatchedTokens": 4096,
        "kvCacheDtype": "fp8",
        "prefixCaching": True,
        "chunkedPrefill": False,
        "speculative": {"method": "ngram", "numSpeculativeTokens": 2},
        "toolCallParser": "hermes",
        "reasoningParser": "qwen3",
        "chatTemplate": {"name": "t", "key": "t"},
        "lora": {"adapters": [{"name": "a", "source": "a/b"}], "maxLoras": 2, "maxRank": 32},
        "loadFormat": "safetensors",
    },
    "gpu": {"tensorParallelSize": 2, "pipelineParallelSize": 2},
}


def test_the_table_is_what_the_help_of_0_32_lists() -> None:
    """But for --help itself, and the opposites of switches, which the table does not hold."""
    spans = history().spans
    having = {flag for flag, (first, gone) in spans.items() if first <= V32 and (gone is None or gone > V32)}
    assert having - LISTED == set()
    assert {flag for flag in LISTED - having if not flag.startswith("--no-")} == {"-h", "--help"}


def test_the_table_reaches_to_the_newest_version_that_the_package_knows() -> None:
    assert history().releases[0] == Version(0, 9, 0)
    assert history().releases[-1] == NEWEST_KNOWN


@pytest.mark.parametrize("version", history().releases, ids=str)
def test_every_release_knows_the_flags_of_our_command_line(version: Version) -> None:
    """Every typed field at once: what a release does not have is left out, or refused by a check before."""
    line = argv(deployment(**FULL).spec, name="a", version=version)
    assert list(unknown([item for item in line if item.startswith("--")], version)) == []


def test_everything_that_the_help_lists_is_known() -> None:
    assert list(unknown(sorted(LISTED - {"-h", "--help"}), V32)) == []


@pytest.mark.parametrize(
    ("argument", "version", "words"),
    [
        ("--max-num-queued-reqs=9", "0.26.0", "--max-num-queued-reqs needs vLLM 0.29.0 or newer"),
        ("--max_num_queued_reqs", "0.28.1", "--max-num-queued-reqs needs vLLM 0.29.0 or newer"),
        ("--max-num-queued", "0.26.0", "--max-num-queued needs vLLM 0.29.0 or newer"),
        (
            "--swap-space",
            "0.32.0",
            "--swap-space is gone since vLLM 0.18.0 (use --kv-offloading-size, or leave it out)",
        ),
        ("--swap-space", "0.17.1", None),
        ("--task=embed", "0.13.0", "--task is gone since vLLM 0.13.0 (use --runner and --convert)"),
        ("--max-model-length", "0.32.0", "vLLM has no flag --max-model-length (did you mean --max-model-len?)"),
        ("--foo", "0.32.0", "vLLM has no flag --foo"),
        ("--foo", "0.34.0", None),
        ("--foo", "0.8.5", None),
        ("--swap-space", "0.34.0", "--swap-space is gone since vLLM 0.18.0"),
        ("--no-async-scheduling", "0.32.0", None),
        ("--disable-prefix-caching", "0.32.0", None),
        ("--compilation-config.mode=3", "0.32.0", None),
        ("-O3", "0.32.0", None),
        ("-cc.mode=3", "0.32.0", None),
        ("-1", "0.32.0", None),
        ("-0.5", "0.32.0", None),
        ("--- a text", "0.32.0", None),
        ("a", "0.32.0", None),
        ("-", "0.32.0", None),
    ],
)
def test_one_argument(argument: str, version: str, words: str | None) -> None:
    release = Version(*(int(part) for part in version.split(".")))
    found = list(unknown(["--seed", "7", argument], release))
    assert bool(found) == bool(words), found
    assert not words or found[0].startswith(words)


def test_a_minor_that_was_not_read_is_given_the_benefit_of_the_doubt() -> None:
    """Version 0.15 has no source distribution: a flag that its neighbour has may be its own."""
    new = next(flag for flag, span in history().spans.items() if span.first == Version(0, 16, 0))
    assert list(unknown([new], Version(0, 15, 1))) == []
    assert list(unknown([new], Version(0, 14, 1))) != []


def test_each_advice_is_for_a_flag_that_is_gone() -> None:
    spans = history().spans
    assert [flag for flag in INSTEAD if flag not in spans or spans[flag].gone is None] == []
