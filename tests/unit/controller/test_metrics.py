"""The series of objects, read from the cache."""

from collections.abc import Iterator

import pytest

from llmfleet.controller.cache import Cache
from llmfleet.controller.metrics import FleetCollector
from tests.unit.controller.bodies import llm_body


def samples(collector: FleetCollector) -> Iterator[tuple[str, str, float]]:
    for family in collector.collect():
        for sample in family.samples:
            if sample.name == "llmfleet_kv_cache_tokens":
                yield sample.labels["name"], sample.labels["source"], sample.value


@pytest.mark.parametrize("leads", [True, False])
def test_the_kv_cache_as_planned_and_as_measured(leads: bool) -> None:  # noqa: FBT001 - a table
    """Of the leader alone; what is not known has no series."""
    cache = Cache()
    plan = {"kvCacheTokens": 1000, "measuredKvCacheTokens": 990}
    cache.objects.put(llm_body("both", uid="1", status={"plan": plan}))
    cache.objects.put(llm_body("planned", uid="2", status={"plan": {"kvCacheTokens": 5}}))
    cache.objects.put(llm_body("unknown", uid="3", status={"plan": {"message": "There is no memory plan."}}))
    cache.objects.put(llm_body("new", uid="4"))
    found = sorted(samples(FleetCollector(cache, is_leader=lambda: leads)))
    assert found == ([("both", "measured", 990), ("both", "planned", 1000), ("planned", "planned", 5)] if leads else [])
