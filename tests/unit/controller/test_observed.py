"""What is read out of a body beyond the obvious."""

from llmfleet.controller.child import own_hash, owner_of
from llmfleet.controller.observed import view_deployment
from tests.unit.controller.bodies import manifests_of, running
from tests.unit.kube.bodies import llm_body

SERVICE, _, DEPLOYMENT = manifests_of(llm_body())


def test_empty_values_make_no_difference() -> None:
    """The API server stores no false and no zero where that is what an absent field means."""
    bare = SERVICE | {"spec": {key: value for key, value in SERVICE["spec"].items() if value}}
    assert bare != SERVICE
    assert own_hash(bare) == own_hash(SERVICE)


def test_template_replicas_and_hashes_are_not_part_of_the_hash() -> None:
    meta = DEPLOYMENT["metadata"] | {"annotations": {"llmfleet.io/inputs-hash": "1", "llmfleet.io/template-hash": "2"}}
    other = DEPLOYMENT | {"metadata": meta, "spec": DEPLOYMENT["spec"] | {"replicas": 7, "template": {}}}
    assert own_hash(other) == own_hash(DEPLOYMENT)


def test_only_a_controlling_llmdeployment_owns() -> None:
    body = running(llm_body())["Service"]
    reference = body["metadata"]["ownerReferences"][0]
    assert owner_of(body) == reference["uid"]
    for change in ({"controller": False}, {"kind": "Other"}, {"apiVersion": "example.com/v1"}):
        body["metadata"]["ownerReferences"] = [reference | change]
        assert owner_of(body) == ""


def test_a_deployment_whose_controller_lags_is_not_observed() -> None:
    body = running(llm_body())["Deployment"]
    assert view_deployment(body).is_observed
    body["metadata"]["generation"] = 2
    assert not view_deployment(body).is_observed
