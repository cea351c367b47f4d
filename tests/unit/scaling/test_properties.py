"""What holds for every load, every gap in the data and every delay: searched, not sampled by hand.

With and without the work term: it has an answer where the speed of an engine is expected and pages give intervals.
"""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from llmfleet.engine.speed import KNOWN_DOUBT, NOTHING, Start
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.policy import Decision, decide
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.state import State
from llmfleet.scaling.terms import TOLERANCE
from tests.unit.scaling.builders import (
    PERIOD,
    START,
    at,
    config,
    fleet,
    interval,
    pod,
    signals,
    watched,
    working,
    write,
)

usage = st.floats(0, 1)
queue = st.integers(0, 500).map(float)
rate = st.none() | st.floats(0, 50)
plain = st.builds(signals, usage, queue, growth=st.none() | st.floats(-50, 50), finish=rate, preempting=st.booleans())
starts = st.sampled_from([NOTHING, replace(START, doubt=KNOWN_DOUBT), START])
works = st.none() | st.floats(0, 2)


@st.composite
def busy(draw: st.DrawFn) -> PodSignals:
    """An engine whose pages also tell what it did: requests of any length come, go and wait."""
    ended, growth, queued = draw(st.tuples(st.integers(0, 200), st.integers(0, 20), st.integers(-20, 200)))
    prompt, output, running = draw(st.tuples(st.integers(1, 8000), st.integers(1, 2000), st.integers(1, 256)))
    done = interval(
        at=0.0,
        arrived=ended + growth + queued,
        ended=ended,
        growth=growth,
        prompt=(ended + growth) * prompt,
        generated=ended * output,
        steps=draw(st.integers(0, 1000)),
        running=running,
        kv_tokens=running * (prompt + output / 2),
        busy=draw(st.booleans()),
    )
    return replace(draw(plain), interval=done, kv_cache_tokens=draw(st.sampled_from([None, 20_000, 900_000])))


fresh = plain | busy()
unknown = st.sampled_from(
    [
        PodSignals(),
        PodSignals(quality=Quality.STALE),
        signals(0.1, quality=Quality.FROZEN),
        signals(None, 1, quality=Quality.MISSING),
    ]
)
bounds = st.builds(
    lambda least, more, start: replace(config(least=least, most=least + more), start=start),
    st.integers(1, 30),
    st.integers(0, 30),
    starts,
)


def loaded(kv: float, work: float | None) -> PodSignals:
    """An engine at this usage, with that work where it tells any."""
    return signals(kv) if work is None else working(signals(kv), work)


def replicas_of(seen: list[PodSignals], *, starting: int = 0, unschedulable: int = 0) -> tuple[Replica, ...]:
    return fleet(*seen, starting=starting, unschedulable=unschedulable).replicas


@st.composite
def fleets(draw: st.DrawFn, one: st.SearchStrategy[PodSignals]) -> Fleet:
    """Any mixture of ready, starting and unschedulable pods, under any present number."""
    seen, starting = draw(st.lists(one, max_size=6)), draw(st.integers(0, 4))
    pods = replicas_of(seen, starting=starting, unschedulable=draw(st.integers(0, starting)))
    return Fleet(
        current=draw(st.integers(0, 40)),
        replicas=pods,
        replicas_manager=draw(st.sampled_from(["", "kubectl", "llmfleet-autoscaler"])),
        quota_exceeded=draw(st.sampled_from(["", "quota"])),
    )


def run(limits: ScalingConfig, seen: list[Fleet], state: State | None = None) -> list[Decision]:
    """The decisions about successive fleets, each written."""
    found, state = [], state or State()
    for step, moment in enumerate(seen):
        decision, state = decide(limits, at(moment, step * PERIOD), state, step * PERIOD)
        if decision.write:
            state = write(state, decision)
        found.append(decision)
    return found


@given(bounds, st.lists(fleets(fresh | unknown), min_size=1, max_size=6))
def test_bounds_always_hold(limits: ScalingConfig, seen: list[Fleet]) -> None:
    assert all(limits.min_replicas <= d.wanted <= limits.max_replicas for d in run(limits, seen))


@given(
    st.lists(fresh, max_size=4),
    st.lists(unknown, min_size=1, max_size=3),
    st.integers(0, 3),
    st.integers(0, 20),
    st.tuples(st.lists(usage, min_size=1, max_size=3), works, starts),
)
def test_never_down_on_unknown(
    known: list[PodSignals], gaps: list[PodSignals], starting: int, current: int, before: tuple[Any, ...]
) -> None:
    """However long the fleet was quiet, and whatever the others say."""
    usages, work, start = before
    limits = replace(config(), start=start)
    state = watched(limits, fleet(*[loaded(kv, work) for kv in usages]))
    seen = Fleet(current=current, replicas=replicas_of([*known, *gaps], starting=starting))
    decision, _ = decide(limits, at(seen, 0), state, 0)
    assert decision.wanted >= min(current, limits.max_replicas)


@given(
    st.lists(fresh, min_size=1, max_size=5),
    st.integers(0, 4),
    st.floats(0, 1),
    st.integers(0, 100),
    st.tuples(rate, st.integers(1, 12), starts),
)
def test_more_load_never_asks_for_fewer(
    seen: list[PodSignals], index: int, more_kv: float, more_queue: int, others: tuple[Any, ...]
) -> None:
    """All replicas serve alike: one that serves more beside a queue has shown that it can do more.

    More in the cache and in the queue, that is, of the same arrivals: more of these at the same usage mean that each
    request holds less of the cache.
    """
    index, (finish, current, start) = index % len(seen), others
    limits = replace(config(), start=start)
    seen = [replace(one, finish_rate=finish) for one in seen]
    light = Fleet(current=current, replicas=replicas_of(seen))
    one = seen[index]
    assert one.kv is not None
    assert one.queue is not None
    heavier = replace(one, kv=min(1.0, one.kv + more_kv), queue=one.queue + more_queue)
    heavy = Fleet(current=current, replicas=replicas_of([*seen[:index], heavier, *seen[index + 1 :]]))
    state = watched(limits, fleet(*[signals(0.0)] * current))
    assert decide(limits, heavy, state, 0)[0].wanted >= decide(limits, light, state, 0)[0].wanted


@given(st.lists(fresh, min_size=1, max_size=5), starts)
def test_starting_replicas_cover_the_need(seen: list[PodSignals], start: Start) -> None:
    """The same load again, with what was asked for under way, asks for nothing more."""
    limits = replace(config(), start=start)
    first, state = decide(limits, at(fleet(*seen), 0), watched(limits, fleet(*seen)), 0)
    if not first.write or first.wanted < len(seen):
        return
    pods = replicas_of(seen, starting=first.wanted - len(seen))
    later = at(Fleet(current=first.wanted, replicas=pods), PERIOD)
    second, _ = decide(limits, later, write(state, first), PERIOD)
    assert not second.write


@given(
    st.lists(st.floats(1 / (1 + TOLERANCE) + 0.01, 1 + TOLERANCE - 0.01), min_size=1, max_size=40),
    st.integers(1, 10),
    st.sampled_from([(0.5, None), (0.5, 0.8), (0.05, 0.8)]),
)
def test_no_change_inside_the_tolerance(shares: list[float], count: int, about: tuple[float, float | None]) -> None:
    """A load that wanders about the target by less than the tolerance moves nothing, however long.

    The target of usage, that of work, or both.
    """
    limits, (usage, work) = replace(config(delay=30), start=START), about
    moments = [fleet(*[loaded(usage * share, work and work * share)] * count) for share in shares]
    assert not any(decision.write for decision in run(limits, moments))


@given(
    st.lists(st.tuples(st.floats(0, 6), st.integers(1, 12)), min_size=1, max_size=12),
    st.integers(0, 60),
    st.integers(0, 30),
    works,
)
def test_never_down_within_the_delay_after_an_up(
    loads: list[tuple[float, int]], delay: int, start: int, work: float | None
) -> None:
    """Any load curve, any start-up time: at most one change of direction within a delay, and that one upwards."""
    limits, state, current = replace(config(delay=delay), start=START), State(), 1
    born = [-1e9]
    last_up = -1e9
    curve = [load for load, periods in loads for _ in range(periods)]
    for step, load in enumerate(curve):
        now = step * PERIOD
        ready = [since + start <= now for since in born]
        share = load / max(1, sum(ready))
        one = loaded(min(1.0, share), None if work is None else work * share)
        pods = tuple(pod(f"p{i}", one if up else None, ready=up) for i, up in enumerate(ready))
        decision, state = decide(limits, at(Fleet(current=current, replicas=pods), now), state, now)
        if decision.wanted > current:
            last_up = now
        if decision.wanted < current:
            assert now - last_up >= delay
        if decision.write:
            state = write(state, decision)
        born = (born + [now] * decision.wanted)[: decision.wanted]
        current = decision.wanted


@given(st.floats(0, 20), st.none() | st.floats(0, 20), st.integers(1, 10))
def test_a_steady_load_comes_to_rest(load: float, work: float | None, current: int) -> None:
    """From any number of replicas: the load settles, nothing moves any more, and each replica is within its target.

    Where work is known usage follows it: requests stay for longer, the less of a replica's time is left. What a request
    costs is still learnt meanwhile, so a load at the edge of a number may take one replica away minutes later.
    """
    limits, state = replace(config(delay=20, most=80), start=START), State()
    spent = work or 0.0
    numbers = []
    for step in range(120):
        kv = min(1.0, load / (current - spent)) if current > spent else 1.0
        seen = fleet(*[loaded(kv, None if work is None else work / current)] * current)
        decision, state = decide(limits, at(seen, step * PERIOD), state, step * PERIOD)
        if decision.write:
            state = write(state, decision)
        current = decision.wanted
        numbers.append(current)
    assert len(set(numbers[-10:])) == 1
    assert load / 0.5 + spent <= current * (1 + TOLERANCE) + 1e-9
    assert spent <= limits.targets.utilization * current * (1 + TOLERANCE) + 1e-9
