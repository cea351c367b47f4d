"""Our own fields of a live object, on what a real API server (1.34.4) recorded.

The captured Deployments: `applied` by us, after a dry run that gave the hash; then `restarted` with kubectl rollout
restart; then `edited` with kubectl scale and kubectl set image; then put right and `added` to with a strategic patch
(a sidecar, and a variable in our container). The object has a pvc:// source, two GPUs, an API key, and requests of
0.5 CPU and 1024Mi.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from llmfleet.manifests.deployment import keeping_template, template_stands
from llmfleet.manifests.hashing import own_fields, own_template, own_template_hash
from llmfleet.manifests.names import INPUTS_HASH, TEMPLATE_HASH

DATA = Path(__file__).parents[1] / "data"


def live(name: str) -> dict[str, Any]:
    captured: dict[str, Any] = json.loads((DATA / f"deployment-{name}.json").read_text())
    return captured


def rendered_like(name: str) -> dict[str, Any]:
    """What we would render for the captured object: only the inputs hash is looked at."""
    return {
        "metadata": {"annotations": {INPUTS_HASH: live(name)["metadata"]["annotations"][INPUTS_HASH]}},
        "spec": {"replicas": 7, "template": {"fresh": True}},
    }


def container(template: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = template["spec"]["containers"][0]
    return found


def test_what_the_server_added_is_not_ours() -> None:
    stored, own = live("applied")["spec"]["template"], own_template(live("applied"))
    assert stored["spec"].keys() - own["spec"].keys() == {"dnsPolicy", "schedulerName"}
    assert container(stored).keys() - container(own).keys() == {"terminationMessagePath"}
    assert container(stored)["livenessProbe"]["httpGet"].keys() - container(own)["livenessProbe"]["httpGet"].keys() == {
        "scheme"
    }


def test_values_are_the_servers() -> None:
    assert container(own_template(live("applied")))["resources"] == {
        "requests": {"cpu": "500m", "memory": "1Gi"},
        "limits": {"nvidia.com/gpu": "2"},
    }


def test_lists_come_whole_and_in_order() -> None:
    stored, own = live("applied")["spec"]["template"], own_template(live("applied"))
    assert container(own)["args"] == container(stored)["args"]
    assert container(own)["env"] == container(stored)["env"]
    assert container(own)["volumeMounts"] == container(stored)["volumeMounts"]
    assert container(own)["ports"] == container(stored)["ports"]
    assert own["spec"]["volumes"] == stored["spec"]["volumes"]
    assert own["spec"]["topologySpreadConstraints"] == stored["spec"]["topologySpreadConstraints"]


@pytest.mark.parametrize("name", ["applied", "restarted", "added"])
def test_what_others_add_is_no_edit(name: str) -> None:
    assert own_template_hash(live(name)) == live(name)["metadata"]["annotations"][TEMPLATE_HASH]
    assert template_stands(rendered_like(name), live(name))


def test_what_others_added_is_there() -> None:
    assert "restartedAt" in json.dumps(live("restarted")["spec"]["template"]["metadata"]["annotations"])
    assert "annotations" not in own_template(live("restarted"))["metadata"]
    assert [c["name"] for c in live("added")["spec"]["template"]["spec"]["containers"]] == ["engine", "sidecar"]
    assert [c["name"] for c in own_template(live("added"))["spec"]["containers"]] == ["engine"]
    assert "EXTRA" not in json.dumps(own_template(live("added")))


def test_an_edit_of_our_field_is_seen() -> None:
    assert container(live("edited")["spec"]["template"])["image"] == "vllm/vllm-openai:v0.31.0"
    assert "image" not in container(own_template(live("edited")))
    assert not template_stands(rendered_like("edited"), live("edited"))


def test_other_inputs_are_seen() -> None:
    rendered = rendered_like("applied")
    rendered["metadata"]["annotations"][INPUTS_HASH] = "other"
    assert not template_stands(rendered, live("applied"))


def test_nothing_stands_where_nothing_is() -> None:
    assert not template_stands(rendered_like("applied"), None)


def test_a_foreign_deployment_never_stands() -> None:
    foreign = live("applied")
    foreign["metadata"]["managedFields"] = []
    assert own_template(foreign) == {}
    assert not template_stands(rendered_like("applied"), foreign)


def test_where_the_template_stands_it_is_applied_again_with_the_new_rest() -> None:
    kept = keeping_template(rendered_like("restarted"), live("restarted"))
    assert kept["spec"] == {"replicas": 7, "template": own_template(live("restarted"))}
    was = live("restarted")["metadata"]["annotations"]
    assert kept["metadata"]["annotations"] == {key: was[key] for key in (INPUTS_HASH, TEMPLATE_HASH)}


def managed(fields: dict[str, Any], **entry: str) -> dict[str, Any]:
    return {"manager": "m", "operation": "Apply", "fieldsV1": fields} | entry


@pytest.mark.parametrize(
    ("fields", "own"),
    [
        ({"f:a": {}}, {"a": {"x": 1}}),
        ({"f:a": {".": {}}}, {"a": {}}),
        ({"f:gone": {}}, {}),
        ({"f:set": {'v:"two"': {}}}, {"set": ["two"]}),
        ({"f:atoms": {"i:1": {"f:n": {}}}}, {"atoms": [{"n": 1}]}),
        ({"f:list": {'k:{"p":1,"q":"b"}': {".": {}, "f:p": {}, "f:v": {}}}}, {"list": [{"p": 1, "v": "y"}]}),
        ({"f:list": {'k:{"p":1,"q":"a"}': {".": {}}, 'k:{"p":1,"q":"b"}': {"f:q": {}}}}, {"list": [{}, {"q": "b"}]}),
        ({"f:list": {'k:{"p":9,"q":"a"}': {".": {}}}}, {"list": []}),
    ],
)
def test_each_kind_of_path(fields: dict[str, Any], own: dict[str, Any]) -> None:
    body = {
        "metadata": {"managedFields": [managed(fields)]},
        "a": {"x": 1},
        "set": ["one", "two"],
        "atoms": [{"n": 0}, {"n": 1}],
        "list": [{"p": 1, "q": "a", "v": "x"}, {"p": 1, "q": "b", "v": "y"}],
    }
    assert own_fields(body, "m") == own


@pytest.mark.parametrize("entry", [{"manager": "other"}, {"operation": "Update"}, {"subresource": "status"}])
def test_only_what_was_applied_by_the_manager_counts(entry: dict[str, str]) -> None:
    assert own_fields({"metadata": {"managedFields": [managed({"f:a": {}}, **entry)]}, "a": 1}, "m") == {}
