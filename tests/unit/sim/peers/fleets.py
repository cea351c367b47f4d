"""Fleets as a rule sees them, in a line each."""

from collections.abc import Callable, Iterable, Sequence

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.sim.rule import PodView, Rule, View


def serving(
    name: str = "pod",
    *,
    kv: float | None = None,
    waiting: float | None = None,
    running: float | None = None,
    terminating: bool = False,
) -> PodView:
    """A ready pod with a page."""
    page = EngineMetrics(kv_usage=kv, waiting=waiting, running=running)
    return PodView(name=name, created_at=0, ready_at=0, terminating=terminating, page=page, page_at=0)


def starting(name: str = "new") -> PodView:
    """A pod whose engine loads."""
    return PodView(name=name, created_at=0)


def alike(count: int, *, kv: float = 0.0, waiting: float = 0.0, running: float = 0.0) -> tuple[PodView, ...]:
    """So many ready pods with the same page."""
    return tuple(serving(f"pod-{index}", kv=kv, waiting=waiting, running=running) for index in range(count))


def seen(pods: Sequence[PodView] = (), *, now: float = 0, replicas: int | None = None, active: int = 0) -> View:
    """A view; replicas are as many as there are pods that stay, unless said."""
    count = sum(not pod.terminating for pod in pods) if replicas is None else replicas
    return View(now=now, replicas=count, pods=tuple(pods), active=active, arrived=0)


def history(rule: Rule, views: Callable[[float, int], View], times: Iterable[float], *, replicas: int) -> list[int]:
    """The numbers that a rule writes when each view is of the fleet that it asked for before."""
    numbers = []
    for now in times:
        replicas = rule.decide(views(now, replicas))
        numbers.append(replicas)
    return numbers
