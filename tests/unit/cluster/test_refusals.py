"""Which refusals of the API server the stories take for a fault of the chart's rights."""

import datetime as dt

import pytest

from tests.cluster.audit import Event
from tests.node.stories.site import refusals

OPERATOR, ACTIVATOR = (f"system:serviceaccount:llmfleet:{name}" for name in ("llmfleet", "llmfleet-activator"))


def event(seconds: float, user: str, verb: str, resource: str, name: str = "", *, refused: bool = False) -> Event:
    return Event(
        time=dt.datetime(2026, 11, 27, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds),
        verb=verb,
        user=user,
        agent="",
        group="",
        resource=resource,
        namespace="",
        name=name,
        code=403 if refused else 200,
        is_unauthorized=refused,
        dry_run=False,
        body=None,
    )


def bindings(seconds: float, verb: str) -> list[Event]:
    """Helm takes them away, or makes them, one after the other."""
    names = ["llmfleet-activator", "llmfleet", "llmfleet-activator-ports", "llmfleet-activators", "llmfleet-leader"]
    return [
        event(seconds + place / 50, "admin", verb, "rolebindings" if "-" in name else "clusterrolebindings", name)
        for place, name in enumerate(names)
    ]


@pytest.mark.parametrize("user", [OPERATOR, ACTIVATOR])
@pytest.mark.parametrize(
    ("seconds", "is_fault"),
    [
        pytest.param(5.0, True, id="with all rights"),
        pytest.param(10.01, False, id="while they are taken away"),
        pytest.param(15.0, False, id="between uninstall and install"),
        pytest.param(20.03, False, id="while they are given back"),
        pytest.param(21.0, False, id="just given back"),
        pytest.param(25.0, True, id="long given back"),
        pytest.param(31.0, False, id="taken away for good"),
    ],
)
def test_a_refusal_counts_unless_rights_come_or_go(user: str, seconds: float, *, is_fault: bool) -> None:
    changes = [
        *bindings(0.0, "create"), *bindings(10.0, "delete"), *bindings(20.0, "create"), *bindings(30.0, "delete")
    ]  # fmt: skip
    wanted = event(seconds, user, "list", "pods", refused=True)
    answered = event(seconds, user, "get", "pods")
    events = sorted([*changes, wanted, answered], key=lambda one: one.time)
    assert refusals(events) == (["list /pods in all"] if is_fault else [])


def test_what_others_may_not_do_is_no_fault() -> None:
    assert refusals([event(1.0, "system:serviceaccount:elsewhere:default", "list", "pods", refused=True)]) == []
