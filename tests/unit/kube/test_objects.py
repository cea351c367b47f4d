"""What is read out of an LLMDeployment beyond the obvious."""

from llmfleet.kube.objects import view_object
from tests.unit.kube.bodies import llm_body


def test_the_latest_writer_of_replicas_is_known() -> None:
    body = llm_body()
    entries = [
        {
            "manager": "kubectl",
            "time": "2026-11-22T12:00:01Z",
            "fieldsV1": {"f:spec": {"f:replicas": {}, "f:model": {}}},
        },
        {"manager": "llmfleet-autoscaler", "time": "2026-11-22T12:00:09Z", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
        {"manager": "llmfleet", "time": "2026-11-22T12:01:00Z", "fieldsV1": {"f:status": {}}},
    ]
    assert view_object(body).replicas_manager == ""
    body["metadata"]["managedFields"] = entries
    assert view_object(body).replicas_manager == "llmfleet-autoscaler"
