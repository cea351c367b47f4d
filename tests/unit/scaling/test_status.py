"""What is written into the status, and how rarely."""

from dataclasses import replace

from llmfleet.api.conditions import Reason
from llmfleet.scaling.fleet import Totals
from llmfleet.scaling.policy import Decision
from llmfleet.scaling.state import Change
from llmfleet.scaling.status import REFRESH_SECONDS, status_of

TOTALS = Totals(
    ready=2,
    observed=2,
    kv_mean=0.6149,
    utilization=0.7251,
    running=41.0,
    waiting=3.0,
    preemptions_per_minute=0.2,
    prompt_tokens_per_second=1234.5,
    generation_tokens_per_second=98.7,
)
DECISION = Decision(current=2, wanted=2, reason=Reason.SCALING, message="2 replicas; all is well", totals=TOTALS)
CHANGE = Change("2026-11-22T10:00:00Z", 1, 2, "memory", "1 -> 2 replicas")


def test_everything_is_rounded() -> None:
    assert status_of(DECISION, (CHANGE,), None, now=0).status.dump() == {
        "desiredReplicas": 2,
        "reason": "Scaling",
        "message": "2 replicas; all is well",
        "lastScaleTime": "2026-11-22T10:00:00Z",
        "signals": {
            "replicasObserved": 2,
            "kvCacheUsagePercent": 61,
            "utilizationPercent": 73,
            "requestsRunning": 41,
            "requestsWaiting": 3,
            "preemptionsPerMinute": 0,
            "promptTokensPerSecond": 1200,
            "generationTokensPerSecond": 99,
        },
        "history": [
            {"time": "2026-11-22T10:00:00Z", "from": 1, "to": 2, "reason": "memory", "message": "1 -> 2 replicas"}
        ],
    }


def test_unknown_stays_absent() -> None:
    blind = replace(DECISION, totals=Totals(ready=0, observed=0))
    assert status_of(blind, (), None, now=0).status.dump()["signals"] == {"replicasObserved": 0}


def test_mere_numbers_wait_for_a_minute() -> None:
    first = status_of(DECISION, (), None, now=0)
    moved = replace(DECISION, message="2 replicas; other numbers", totals=replace(TOTALS, kv_mean=0.7))
    assert status_of(moved, (), first, now=REFRESH_SECONDS - 1) is first
    later = status_of(moved, (), first, now=REFRESH_SECONDS)
    assert later.status.signals is not None
    assert (later.status.signals.kv_cache_usage_percent, later.at) == (70, REFRESH_SECONDS)


def test_what_matters_is_shown_at_once() -> None:
    first = status_of(DECISION, (), None, now=0)
    assert status_of(replace(DECISION, wanted=3), (), first, now=1).status.desired_replicas == 3
    assert status_of(replace(DECISION, reason=Reason.HELD_STALE), (), first, now=1).status.reason == "HeldStale"
    assert status_of(DECISION, (CHANGE,), first, now=1).status.last_scale_time == CHANGE.time


def test_a_quiet_object_is_never_written_again() -> None:
    first = status_of(DECISION, (), None, now=0)
    noise = replace(DECISION, totals=replace(TOTALS, kv_mean=0.6051, prompt_tokens_per_second=1240.0))
    assert status_of(noise, (), first, now=3600) is first
