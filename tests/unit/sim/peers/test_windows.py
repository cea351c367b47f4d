"""Means and rates over time."""

from llmfleet.engine.metrics import EngineMetrics
from llmfleet.sim.peers.pages import generation_tokens
from llmfleet.sim.peers.rates import Rate
from llmfleet.sim.peers.windows import Window
from llmfleet.sim.rule import PodView
from tests.unit.sim.peers.fleets import seen


def test_a_window_forgets_what_is_as_old_as_it_is_long() -> None:
    window = Window(60)
    for now in range(0, 70, 10):
        window.add(now, float(now))
    assert window.mean == 35  # 10 to 60


def test_a_mean_comes_back_to_nought() -> None:
    """Idle is exactly 0, whatever was before: AIBrix asks for that."""
    window = Window(30)
    for now, value in enumerate([0.1, 0.7, 0.2, *[0.0] * 3]):
        window.add(now * 10, value)
    assert window.mean == 0


def counted(name: str, tokens: float, at: float) -> PodView:
    page = EngineMetrics(generation_tokens=tokens)
    return PodView(name=name, created_at=0, ready_at=0, page=page, page_at=at)


def test_a_rate_is_summed_over_pods_and_a_new_pod_needs_two_pages() -> None:
    rate = Rate(generation_tokens)
    assert rate.total(seen([counted("a", 1_000, 0)], now=0)) == 0
    assert rate.total(seen([counted("a", 2_500, 15), counted("b", 0, 10)], now=15)) == 100
    assert rate.total(seen([counted("a", 4_000, 30), counted("b", 600, 30)], now=30)) == 130


def test_a_restart_is_no_negative_rate_and_a_pod_that_is_gone_counts_no_more() -> None:
    rate = Rate(generation_tokens)
    rate.total(seen([counted("a", 1_000, 0)], now=0))
    assert rate.total(seen([counted("a", 10, 15)], now=15)) == 0
    assert rate.total(seen([counted("b", 10, 30)], now=30)) == 0
