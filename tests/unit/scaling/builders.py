"""Short ways to say what a fleet looks like, shared by the tests of scaling."""

from dataclasses import replace

from llmfleet.api.objectives import Targets
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.engine.speed import Speed, Start
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.interval import Interval
from llmfleet.scaling.policy import Decision, decide, written
from llmfleet.scaling.signals import PodSignals, Quality
from llmfleet.scaling.state import State
from llmfleet.scaling.track import Sample, Track, observe

DELAY = 300.0
PERIOD = 5.0
SPEED = Speed(5e-3, 2.5e-5, 4e-8)
"""A request of 1,000 + 100 tokens that holds 1,050: 31.7 ms of work, 31.5 a second of a replica."""
START = Start(SPEED, 0.01, 8192, 1024)
"""So sure of the speed that the intervals made up here teach nothing."""
REQUEST_SECONDS = 1100 * SPEED.token + 100 * 1050 * SPEED.context
"""Work of a request of `interval` at that speed."""


def config(
    *, least: int = 1, most: int = 20, kv: float = 0.5, waiting: float = 4, delay: float = DELAY
) -> ScalingConfig:
    """Bounds, targets and patience; a queue drains in a minute."""
    return ScalingConfig(least, most, Targets(kv, waiting, 60.0, 0.8, 2.0), delay)


def signals(
    kv: float | None = 0.0,
    queue: float | None = 0.0,
    *,
    running: float = 1.0,
    quality: Quality = Quality.FRESH,
    least: float | None = None,
    growth: float | None = None,
    finish: float | None = None,
    preempting: bool = False,
) -> PodSignals:
    """One pod's signals."""
    return PodSignals(
        quality=quality,
        kv=kv,
        running=running,
        waiting=queue,
        queue=queue,
        queue_least=queue if least is None else least,
        queue_growth=growth,
        running_growth=0.0,
        finish_rate=finish,
        preempting=preempting,
    )


def interval(
    *,
    at: float,
    arrived: float,
    ended: float | None = None,
    growth: float = 0.0,
    prompt: float | None = None,
    generated: float | None = None,
    steps: float = 500.0,
    running: float = 8.0,
    kv_tokens: float = 8000.0,
    seconds: float = PERIOD,
    busy: bool = True,
    disturbed: bool = False,
) -> Interval:
    """What one engine did in a period: requests of 1,000 prompt tokens and 100 generated ones, unless it is said."""
    ended = arrived if ended is None else ended
    prompt = 1000 * (ended + growth) if prompt is None else prompt
    return Interval(
        at=at,
        seconds=seconds,
        arrived=arrived,
        ended=ended,
        growth=growth,
        running=running,
        prompt_tokens=prompt,
        computed_tokens=prompt,
        generated_tokens=100 * (ended + growth) if generated is None else generated,
        steps=steps,
        kv_tokens=kv_tokens,
        busy=busy,
        disturbed=disturbed,
    )


def working(seen: PodSignals, work: float) -> PodSignals:
    """The same engine, with requests that come and go and take this share of its time."""
    came = work * PERIOD / REQUEST_SECONDS
    done = interval(at=0.0, arrived=came, steps=100 * came / 8, kv_tokens=8 * 1050)
    return replace(seen, interval=done, kv_cache_tokens=900_000)


def pod(name: str = "a", seen: PodSignals | None = None, *, ready: bool = True, unschedulable: bool = False) -> Replica:
    """One pod; without signals it is ready and silent."""
    return Replica(name=name, ready=ready, unschedulable=unschedulable, signals=seen or PodSignals())


def fleet(*seen: PodSignals, starting: int = 0, unschedulable: int = 0, current: int | None = None) -> Fleet:
    """Ready pods with these signals, and pods that are not ready."""
    pods = [pod(f"ready-{i}", one) for i, one in enumerate(seen)]
    pods += [pod(f"starting-{i}", ready=False, unschedulable=i < unschedulable) for i in range(starting)]
    return Fleet(current=len(pods) if current is None else current, replicas=tuple(pods))


def at(seen: Fleet, now: float) -> Fleet:
    """The same fleet with intervals that end at this time."""
    return replace(seen, replicas=tuple(_at(one, now) for one in seen.replicas))


def _at(one: Replica, now: float) -> Replica:
    done = one.signals.interval
    return one if done is None else replace(one, signals=replace(one.signals, interval=replace(done, at=now)))


def watched(settings: ScalingConfig, steady: Fleet, *, until: float = 0.0) -> State:
    """A memory that has seen `steady` for a whole delay, up to `until`."""
    state, now = State(), until - settings.scale_down_delay - 2 * PERIOD
    while now < until:
        _, state = decide(settings, at(steady, now), state, now)
        now += PERIOD
    return state


def settle(settings: ScalingConfig, steady: Fleet) -> Decision:
    """The decision about a fleet that has looked like this for longer than the delay, before anything was written."""
    decision, _ = decide(settings, steady, watched(settings, steady), 0.0)
    return decision


def write(state: State, decision: Decision) -> State:
    """The memory after the write, at no particular time."""
    return written(state, decision, "2026-11-22T00:00:00Z")


def page(**values: float) -> EngineMetrics:
    """A page with the gauges at zero but for these values."""
    return EngineMetrics(**({"kv_usage": 0.0, "running": 0.0, "waiting": 0.0} | values))  # type: ignore[arg-type]


def track(*pages: tuple[float, EngineMetrics]) -> Track:
    """The track of these pages, oldest first."""
    found: Track | None = None
    for at, metrics in pages:
        found = observe(found, Sample(at, metrics))
    assert found is not None
    return found
