"""From the end of a log to a reason, a sentence and a remedy.

`failure_logs/NAME.CODE.txt` (or `NAME.CODE-REASON.txt`, with the runtime's word) holds what a container left behind:
the engine's own error, word for word, in surroundings as they are around it. `expected.yaml` holds what users are told.
"""

import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmfleet.api import crd
from llmfleet.api.conditions import SENTENCES, Reason
from llmfleet.engine.failures import RULES, WEAK_RULES, Failure, Kind, explain
from llmfleet.engine.failures.codes import by_code
from llmfleet.engine.failures.text import clean

LOGS = Path(__file__).parent / "failure_logs"
EXPECTED = LOGS / "expected.yaml"
CODES = [(code, "") for code in (0, 2, 126, 127, 130, 134, 135, 137, 139, 143)] + [(137, "OOMKilled")]
FILES = sorted(LOGS.glob("*.txt"))


def explained(path: Path) -> Failure:
    _, ending = path.stem.rsplit(".", 1)
    code, _, word = ending.partition("-")
    return explain(int(code), word or "Error", path.read_text())


def as_told(failure: Failure) -> dict[str, str | bool]:
    return {
        "reason": failure.reason.value,
        "kind": failure.kind.value,
        "blamesSpec": failure.blames_spec,
        "sentence": failure.sentence,
        "remedy": failure.remedy,
    }


def test_what_users_are_told(update_golden: bool) -> None:  # noqa: FBT001 - a fixture
    """Each log has the reason, the sentence and the remedy of the expected file, and nothing else is in it."""
    found = {path.stem: as_told(explained(path)) for path in FILES}
    if update_golden:
        EXPECTED.write_text(yaml.safe_dump(found, sort_keys=True, width=120, allow_unicode=True))
    assert found == yaml.safe_load(EXPECTED.read_text())


def test_there_are_many_and_few_are_unknown() -> None:
    """Only the logs that are meant to be unknown end in the general reason."""
    unknown = {path.stem for path in FILES if explained(path).reason is Reason.STUCK}
    assert len(FILES) >= 40
    assert unknown == {"unknown.1", "with-secrets.1", "wrapper-only.1"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_sentences_read_well(path: Path) -> None:
    """Whole sentences within bounds, no empty brackets, no secret, no mark of the process that wrote the line."""
    failure = explained(path)
    assert failure.sentence[0].isupper() or failure.sentence.startswith("spec.")
    assert failure.words.rstrip()[-1] in ".}'0123456789)" or failure.reason is Reason.STUCK
    assert len(failure.words) <= 900
    assert not any(bad in failure.words for bad in ("()", "  ", " .", "pid=", "hunter2", "hf_abc", "sk-proj"))
    assert not re.search(r"\{[a-z]+\}", failure.words)


def test_every_reason_is_documented() -> None:
    assert {rule.reason for rule in (*RULES, *WEAK_RULES)} <= SENTENCES.keys()


def fields() -> set[str]:
    """Every path of the spec, `spec.` before it."""
    schema = crd.document()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    found: set[str] = set()

    def walk(node: dict[str, Any], path: str) -> None:
        found.add(path)
        for name, below in node.get("properties", {}).items():
            walk(below, f"{path}.{name}")
        if isinstance(below := node.get("additionalProperties"), dict):
            walk(below, f"{path}.*")
        if "items" in node:
            walk(node["items"], path)

    walk(schema, "spec")
    return found


def test_every_field_that_is_named_exists() -> None:
    """A remedy that names a field which is not there is none."""
    told = " ".join(f"{rule.sentence} {rule.remedy}" for rule in (*RULES, *WEAK_RULES))
    told += " ".join(by_code(code, word, "").words for code, word in CODES)
    known = fields()
    named = {path.rstrip(".") for path in re.findall(r"spec(?:\.[A-Za-z0-9\-]+)+", told)}
    assert len(named) > 15
    assert [path for path in sorted(named) if not {path, re.sub(r"(limits|requests)\..*", r"\1.*", path)} & known] == []


def test_the_cause_wins_over_what_follows_from_it() -> None:
    """A worker that ran out of memory, not the NCCL error of its neighbour, nor the wrapper around both."""
    assert explained(LOGS / "one-of-several-workers.1.txt").reason is Reason.DOES_NOT_FIT_MEMORY


def test_the_last_cause_wins() -> None:
    """What was overcome by a retry is not the cause."""
    overcome = "OSError: We couldn't connect to 'https://hub' to load"
    text = f"{overcome}\nValueError: LoRA rank 8 is greater than max_lora_rank 4."
    assert explain(1, "Error", text).reason is Reason.ADAPTER_REFUSED


@pytest.mark.parametrize("code", [code for code, word in CODES if not word])
def test_codes_without_words(code: int) -> None:
    failure = explain(code, "Error", "")
    assert failure.reason is not Reason.STUCK
    assert failure.remedy


def test_an_unknown_code_names_itself() -> None:
    failure = by_code(3, "ContainerCannotRun", "")
    assert (failure.reason, failure.kind) == (Reason.STUCK, Kind.TRANSIENT)
    assert failure.sentence == "The engine ended with code 3 (ContainerCannotRun). Its last words tell no cause."


def test_a_kill_for_memory_beats_words() -> None:
    """Whatever the log says, the kernel ended it."""
    text = "ValueError: LoRA rank 8 is greater than max_lora_rank 4."
    assert explain(137, "OOMKilled", text).reason is Reason.HOST_MEMORY_EXHAUSTED


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("hf_QwErTyUiOpAsDfGhJkL", "QwErTy"),
        ("sk-live-0123456789abcdef", "0123456789abcdef"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.e30", "eyJhbGci"),
        ("https://me:pa55word@mirror.example/x", "pa55word"),
        ("HF_TOKEN=abcdefgh12345678", "abcdefgh"),
        ("'api_key': 'abcdef-123456'", "abcdef-123456"),
        ("X-Amz-Signature=0a1b2c3d4e5f", "0a1b2c3d"),
        ("password: correct-horse", "correct-horse"),
    ],
)
def test_secrets_are_masked(text: str, hidden: str) -> None:
    """In a quotation of an unknown text as in a value that a rule takes over."""
    for said in (f"FooError: went wrong with {text}", f"vllm: error: unrecognized arguments: --x {text}"):
        words = explain(1, "Error", said).words
        assert hidden not in words
        assert "***" in words


ADVERSARIAL = {
    "spaces": " " * 65536,
    "one letter": "a" * 65536,
    "brackets": "(" * 65536,
    "prefixes": "(Worker pid=1) " * 4369,
    "starts of a rule": "Free memory on device (1.0/2.0 GiB) on startup " * 1400,
    "starts of another": "Model architectures ['" + "A" * 65000,
    "connections": "ConnectionError " * 4096,
    "dots": "Total number of attention heads (" + "9" * 65000,
    "addresses": "://" + "a:" * 32000,
    "tokens": "token=" * 10000,
    "keys": "api_key " * 8192,
    "lines": "\n" * 65536,
    "exceptions": "Error: " * 9000,
    "escapes": "\x1b[" * 32768,
    "quotes": "'\"" * 32768,
    "divisible": "1 is not divisible by " * 2900,
    "xid": "Xid (" * 13000,
    "mixed": "hf_xet CUDA error: VLLM_ inductor PermissionError getpwuid " * 1100,
}


@pytest.mark.parametrize("name", ADVERSARIAL)
def test_no_text_takes_long(name: str) -> None:
    """64 KiB of what a tenant may print cost well under a second, and the answer is bounded."""
    began = time.perf_counter()
    failure = explain(1, "Error", ADVERSARIAL[name])
    assert time.perf_counter() - began < 1.0
    assert len(failure.words) <= 1200


def test_colours_and_control_characters_are_gone() -> None:
    assert clean("\x1b[31mred\x1b[0m\x07\r\nnext\u2028line") == "red\n\nnextline"
