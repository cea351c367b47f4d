"""What a tenant might write into an LLMDeployment to get more than the administrator's settings allow, row by row.

Each row says what is tried, and how it ends: refused by the API server (its words), refused by the operator (reason of
SpecValid and its words), or taken and harmless (and why). `test_attacks.py` tries each; `table.py` makes the table
in SECURITY.md of them. The tenant may write LLMDeployments in one namespace and nothing else, and its client
leaves out every check of its own, so fields that the CRD does not have are sent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.golden.pod_security import violations

Pod = dict[str, Any]
"""A pod's spec, without the name of its object."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One row."""

    name: str
    what: str
    """In words, Markdown."""
    change: dict[str, Any]
    """Laid over a good object's spec."""
    refused: str = ""
    """Words of the API server."""
    reason: str = ""
    """Of SpecValid; no pod is made."""
    words: str = ""
    """Of its message."""
    harmless: str = ""
    """Why."""
    proof: Callable[[Pod, Pod], bool] | None = None
    """Whether the pod (first), compared with that of the same object without the change (second), shows it."""


def same(pod: Pod, plain: Pod) -> bool:
    """The change left no trace at all."""
    return pod == plain


def restricted(pod: Pod, _: Pod) -> bool:
    """Nothing in the pod breaks the restricted Pod Security Standard."""
    return not list(violations(pod))


def has_argument(text: str) -> Callable[[Pod, Pod], bool]:
    """The text is one argument, to the letter, of a command line without a shell."""

    def proof(pod: Pod, plain: Pod) -> bool:
        container = pod["containers"][0]
        return (
            container["command"] == ["vllm", "serve"] and container["args"].count(text) == 1 and restricted(pod, plain)
        )

    return proof


def has_variable(name: str, value: str) -> Callable[[Pod, Pod], bool]:
    """The variable has this literal value."""

    def proof(pod: Pod, _: Pod) -> bool:
        return {"name": name, "value": value} in pod["containers"][0]["env"]

    return proof


def ignored(name: str, what: str, change: dict[str, Any]) -> Attack:
    why = "the field does not exist: a strict client refuses it, the API server drops it, the pod is the same"
    return Attack(name=name, what=what, change=change, harmless=why, proof=same)


def argument(name: str, what: str, *arguments: str, refused: str) -> Attack:
    return Attack(name=name, what=what, change={"engine": {"extraArgs": list(arguments)}}, refused=refused)


def variable(name: str, what: str, *, refused: str, variable: str, value: str = "1") -> Attack:
    change = {"engine": {"env": [{"name": variable, "value": value}]}}
    return Attack(name=name, what=what, change=change, refused=refused)


def source(name: str, what: str, source: str, refused: str = "must be hf://ORG/NAME") -> Attack:
    return Attack(name=name, what=what, change={"model": {"source": source}}, refused=refused)
