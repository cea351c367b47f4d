"""The accept/reject table against the real API server: every rule, bound and enum of the CRD has a case."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmfleet.api import crd
from tests.cluster import ControlPlane
from tests.cluster.processes import CommandError
from tests.crd.cases import ACCEPTED, PATTERNS, RULES, at, beyond, good, items, merged, placed
from tests.crd.schema_walk import Constraint, spec_constraints

pytestmark = pytest.mark.control_plane

CRD = Path(__file__).parents[2] / "crds" / "llmdeployments.serving.llmfleet.io.yaml"
CONSTRAINTS = spec_constraints(crd.document())
DERIVED = ("minimum", "maximum", "minLength", "maxLength", "maxItems", "maxProperties", "enum")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as control_plane:
        control_plane.apply_crd(CRD)
        yield control_plane


def refusals(cluster: ControlPlane, objects: list[dict[str, Any]]) -> dict[str, str]:
    """Send every object as a dry run, in one command; the API server's words by object name, empty where accepted.

    kubectl's own look at the schema is off: it would stop at the first object.
    """
    listing = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    try:
        cluster.kubectl("create", "--dry-run=server", "--validate=ignore", "-f", "-", stdin=listing)
        text = ""
    except CommandError as error:
        text = str(error)
    parts = re.split(r'(?=The LLMDeployment ")|(?=Error from server)', text)
    names = [item["metadata"]["name"] for item in objects]
    return {name: "".join(part for part in parts if f'"{name}"' in part) for name in names}


def named(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A good object for each change, with a name of its own unless the change is about the name."""
    return [merged(good(f"case-{index}"), change) for index, change in enumerate(changes)]


def test_every_constraint_has_a_case() -> None:
    """A new rule, bound or pattern without a line in the table fails here."""
    patterns = {".".join(c.path) for c in CONSTRAINTS if c.keyword == "pattern"}
    assert patterns == set(PATTERNS)
    messages = {c.value for c in CONSTRAINTS if c.keyword == "rule"}
    covered = {message for message in messages for start, _, _ in RULES if message.startswith(start)}
    assert covered == messages
    assert all(any(message.startswith(start) for message in messages) for start, _, _ in RULES)
    assert {c.keyword for c in CONSTRAINTS} <= {*DERIVED, "pattern", "rule", "required", "unique"}


def test_one_beyond_each_bound_is_refused(cluster: ControlPlane) -> None:
    """The refusal names the field."""
    cases = [c for c in CONSTRAINTS if c.keyword in DERIVED]
    answers = refusals(cluster, named([placed(c.path, beyond(c)) for c in cases]))
    fields = [next(step for step in reversed(c.path) if step not in {"[]", "{}"}) for c in cases]
    accepted = [c.name for c, field, words in zip(cases, fields, answers.values(), strict=True) if field not in words]
    assert accepted == []
    assert len(cases) >= 50


def test_the_bound_itself_is_accepted(cluster: ControlPlane) -> None:
    """As far as the bound alone decides: a value that another rule judges too is left out."""
    judged_twice = {c.path for c in CONSTRAINTS if c.keyword in {"rule", "pattern"}}
    cases = [c for c in CONSTRAINTS if c.keyword in DERIVED and c.path not in judged_twice]
    both_needed: dict[tuple[str, ...], Any] = {
        ("spec", "rollout", "maxSurge"): {"spec": {"rollout": {"maxUnavailable": 1}}}
    }
    changes = [merged(both_needed.get(c.path, {}), placed(c.path, at(c))) for c in cases]
    answers = refusals(cluster, named(changes))
    refused = {c.name: words for c, words in zip(cases, answers.values(), strict=True) if words}
    assert refused == {}


def test_each_pattern_refuses_and_accepts(cluster: ControlPlane) -> None:
    paths = [tuple(path.split(".")) for path in PATTERNS]
    bad = refusals(cluster, named([placed(path, PATTERNS[".".join(path)][0]) for path in paths]))
    fine = refusals(cluster, named([placed(path, PATTERNS[".".join(path)][1]) for path in paths]))
    assert all("should match" in words for words in bad.values()), bad
    assert not any(fine.values()), fine


@pytest.mark.parametrize("index", range(len(RULES)), ids=lambda index: f"{RULES[index][0]}-{index}")
def test_each_rule_refuses_with_its_sentence(index: int, rule_answers: list[str]) -> None:
    """The sentence says what to do."""
    assert RULES[index][2] in rule_answers[index]


@pytest.fixture(scope="module")
def rule_answers(cluster: ControlPlane) -> list[str]:
    objects = named([change for _, change, _ in RULES])
    answers = refusals(cluster, objects)
    return [answers[item["metadata"]["name"]] for item in objects]


def test_what_users_write_is_accepted(cluster: ControlPlane) -> None:
    answers = refusals(cluster, named(ACCEPTED))
    assert {name: words for name, words in answers.items() if words} == {}


def test_required_fields_and_unique_items(cluster: ControlPlane) -> None:
    required = [c for c in CONSTRAINTS if c.keyword == "required"]
    unique = [c for c in CONSTRAINTS if c.keyword == "unique"]
    objects = [without(good(f"required-{index}"), c) for index, c in enumerate(required)]
    words = refusals(cluster, objects)
    assert all(c.path[-1] in text and "equired" in text for c, text in zip(required, words.values(), strict=True)), (
        words
    )
    twice = [merged(good(f"unique-{index}"), placed(c.path, doubled(c))) for index, c in enumerate(unique)]
    words = refusals(cluster, twice)
    assert all("Duplicate value" in text for text in words.values()), words


def without(item: dict[str, Any], constraint: Constraint) -> dict[str, Any]:
    """The object with the parent of the required field present and the field itself absent."""
    *parents, name = constraint.path
    full = merged(item, placed((*parents, name), "x")) if len(parents) > 1 else item
    node: Any = full
    for step in parents:
        node = node[0] if step == "[]" else node[step]
    node.pop(name, None)
    return full


def doubled(constraint: Constraint) -> list[Any]:
    """The same item twice."""
    item = items(constraint.path, 1)[0]
    return [item, item]


def test_an_unknown_field_is_refused_by_a_strict_client(cluster: ControlPlane) -> None:
    with pytest.raises(CommandError, match=r'unknown field "spec\.modle"'):
        cluster.kubectl(
            "create", "--dry-run=server", "-f", "-", stdin=json.dumps(merged(good("a"), {"spec": {"modle": 1}}))
        )


def test_the_object_reads_well(cluster: ControlPlane) -> None:
    """Short name, category, columns, scale subresource, explain."""
    cluster.apply(good("reads-well"))
    assert "Qwen/Qwen3-8B" in cluster.kubectl("get", "llm")
    assert "reads-well" in cluster.kubectl("get", "all")
    heading = cluster.kubectl("get", "llm", "-o", "wide").splitlines()[0].split()
    assert heading == ["NAME", "MODEL", "READY", "DESIRED", "KV", "REASON", "AGE", "GPU", "TP", "QUANTIZATION", "URL"]
    cluster.kubectl("scale", "llm/reads-well", "--replicas=3")
    assert cluster.get("llm", "reads-well")["spec"]["replicas"] == 3
    assert "Share of the GPU's memory" in cluster.kubectl("explain", "llm.spec.engine.gpuMemoryUtilization")
