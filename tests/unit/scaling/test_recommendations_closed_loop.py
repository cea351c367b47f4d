"""Each situation, really brought about in a simulated engine; and gone once the advice was followed.

An 8B model on an L4 (`sim.profiles`: 68.5 ms a step at least, 34,000 tokens of KV cache). Loads are chosen so that the
engine could carry them but for what is recommended.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from llmfleet.api.conditions import Advice
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.evidence import Case, Recommendation
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.policy import decide
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.recommendations import advise
from llmfleet.scaling.signals import read
from llmfleet.scaling.state import State
from llmfleet.scaling.track import Sample, Track, observe
from llmfleet.scaling.window import Window
from llmfleet.sim.capacity import Memory, capacity
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.replica import Replica as Engine
from llmfleet.sim.sequence import Limits, Request, StepResult
from tests.unit.scaling.builders import PERIOD, config, write

L4 = PROFILES["l4-8b"]
BLOCKS = capacity(L4, Memory(L4.gpu_memory_gib, 0.9)).blocks
HOUR = 3600.0


@dataclass
class Counts:
    """The counters of an engine's page."""

    steps: float = 0.0
    prompt_tokens: float = 0.0
    generation_tokens: float = 0.0
    finished: float = 0.0
    preemptions: float = 0.0

    def add(self, step: StepResult, *, end: float) -> None:
        self.steps += step.generated > 0
        self.prompt_tokens += sum(one.request.prompt_tokens for one in step.prefilled if one.first_token == end)
        self.generation_tokens += step.generated
        self.finished += len(step.finished)
        self.preemptions += len(step.preempted)


@dataclass
class Pod:
    """An engine with the counters of its page."""

    limits: Limits
    engine: Engine = field(init=False)
    time: float = 0.0
    counts: Counts = field(default_factory=Counts)
    track: Track | None = None

    def __post_init__(self) -> None:
        self.engine = Engine(limits=self.limits, step_time=L4.step_time(1))

    def run(self, until: float, finished: Callable[[], None]) -> None:
        while self.engine.busy and self.time < until:
            step = self.engine.step(self.time)
            self.time += step.duration
            self.counts.add(step, end=self.time)
            for _ in step.finished:
                finished()
        self.time = max(self.time, until)

    def seen(self, name: str, now: float) -> Replica:
        gauges = EngineMetrics(
            kv_usage=min(1.0, self.engine.kv_usage),
            running=float(self.engine.running),
            waiting=float(self.engine.waiting),
            steps=self.counts.steps,
            prompt_tokens=self.counts.prompt_tokens,
            generation_tokens=self.counts.generation_tokens,
            finished=self.counts.finished,
            preemptions=self.counts.preemptions,
        )
        self.track = observe(self.track, Sample(now, gauges))
        return Replica(name=name, signals=read(self.track, now=now, stale_after=20))


@dataclass(frozen=True)
class Load:
    """Requests at random times, or a fixed number of them in flight."""

    prompt: int
    output: int
    per_second: float = 0.0
    in_flight: int = 0


@dataclass(frozen=True)
class Setting:
    """What the spec says."""

    facts: EngineFacts = field(default_factory=EngineFacts)
    scaling: ScalingConfig | None = None
    replicas: int = 1
    blocks: int = BLOCKS
    kv_cache_dtype: str = "auto"

    @property
    def limits(self) -> Limits:
        seqs, tokens = self.facts.max_num_seqs or 256, self.facts.max_num_batched_tokens or 2048
        return Limits(blocks=self.blocks, max_num_seqs=seqs, max_num_batched_tokens=tokens)


def watched(setting: Setting, load: Load, *, hours: float) -> tuple[Recommendation, ...]:
    """What is recommended after so many hours under this load."""
    chance, window, state, arrival = random.Random(7), Window(), State(), 0.0  # noqa: S311 (arrivals, not secrets)
    pods = [Pod(setting.limits) for _ in range(setting.replicas)]
    count = 0

    def ask(now: float) -> None:
        nonlocal count
        count += 1
        lengths = (chance.randint(1, 2 * load.prompt), chance.randint(1, 2 * load.output))
        chance.choice(pods).engine.submit(Request(str(count), *lengths), now)

    for _ in range(load.in_flight):
        ask(0.0)
    period = PERIOD if hours < 12 else 12 * PERIOD  # a day is looked at once a minute, to be quick
    for tick in range(1, round(hours * HOUR)):
        now = float(tick)
        while load.per_second and arrival < now:
            ask(arrival)
            arrival += chance.expovariate(load.per_second)
        for pod in pods:
            pod.run(now, (lambda: ask(pod.time)) if load.in_flight else (lambda: None))  # noqa: B023 (used at once)
        if now % period:
            continue
        fleet = Fleet(current=len(pods), replicas=tuple(pod.seen(str(i), now) for i, pod in enumerate(pods)))
        wanted = len(pods)
        if setting.scaling:
            decision, state = decide(setting.scaling, fleet, state, now)
            wanted = max((term.replicas for term in decision.terms), default=wanted)
            state = write(state, decision) if decision.write else state
            pods += [Pod(setting.limits, time=now) for _ in range(decision.wanted - len(pods))]
            pods = pods[: decision.wanted] if decision.wanted < len(pods) else pods
        window.add(fleet, setting.facts, setting.scaling, wanted=wanted, now=now)
    return advise(
        Case(
            seen=window.seen,
            facts=setting.facts,
            config=setting.scaling,
            replicas=len(pods),
            kv_cache_tokens=16 * setting.blocks,
            kv_cache_dtype=setting.kv_cache_dtype,
        )
    )


def seqs(setting: Setting, advice: Recommendation) -> Setting:
    return replace(setting, facts=replace(setting.facts, max_num_seqs=round(advice.target)))


def tokens(setting: Setting, advice: Recommendation) -> Setting:
    return replace(setting, facts=replace(setting.facts, max_num_batched_tokens=round(advice.target)))


def fp8(setting: Setting, _: Recommendation) -> Setting:
    return replace(setting, blocks=2 * setting.blocks, kv_cache_dtype="fp8")


def most(setting: Setting, advice: Recommendation) -> Setting:
    assert setting.scaling
    return replace(setting, scaling=replace(setting.scaling, max_replicas=round(advice.target)))


def least(setting: Setting, advice: Recommendation) -> Setting:
    assert setting.scaling
    return replace(setting, scaling=replace(setting.scaling, min_replicas=round(advice.target)), replicas=1)


def smaller(setting: Setting, _: Recommendation) -> Setting:
    return replace(setting, blocks=setting.blocks // 4)


SITUATIONS = [
    pytest.param(
        Setting(EngineFacts(max_num_seqs=8)),
        Load(prompt=32, output=32, per_second=4),
        1.2,
        Advice.RAISE_MAX_NUM_SEQS,
        seqs,
        id="short prompts, few places",
    ),
    pytest.param(
        Setting(EngineFacts(max_num_seqs=64, max_num_batched_tokens=64)),
        Load(prompt=256, output=8, per_second=4.5),
        1.2,
        Advice.RAISE_MAX_NUM_BATCHED_TOKENS,
        tokens,
        id="long prompts, small steps",
    ),
    pytest.param(
        Setting(EngineFacts(fp8_kv_cache=True)),
        Load(prompt=100, output=700, in_flight=80),
        1.2,
        Advice.USE_FP8_KV_CACHE,
        fp8,
        id="long answers, and fp8 is to be had",
    ),
    pytest.param(
        Setting(),
        Load(prompt=100, output=700, in_flight=120),
        1.2,
        Advice.LOWER_MAX_NUM_SEQS,
        seqs,
        id="long answers, and fp8 is not to be had",
    ),
    pytest.param(
        Setting(scaling=config(most=2, delay=60)),
        Load(prompt=500, output=100, per_second=12),
        1.2,
        Advice.RAISE_MAX_REPLICAS,
        most,
        id="more load than two replicas carry",
    ),
    pytest.param(
        Setting(scaling=config(least=3, delay=60), replicas=3),
        Load(prompt=1200, output=20, per_second=0.2),
        21,
        Advice.LOWER_MIN_REPLICAS,
        least,
        id="three replicas for a load for one",
    ),
    pytest.param(
        Setting(),
        Load(prompt=1200, output=20, per_second=0.2),
        21,
        Advice.USE_SMALLER_PROFILE,
        smaller,
        id="a KV cache that is nearly empty",
    ),
]


@pytest.mark.parametrize(("setting", "load", "hours", "reason", "follow"), SITUATIONS)
def test_the_situation_is_recognised_and_following_the_advice_ends_it(
    setting: Setting,
    load: Load,
    hours: float,
    reason: Advice,
    follow: Callable[[Setting, Recommendation], Setting],
) -> None:
    found = watched(setting, load, hours=hours)
    assert [one.reason for one in found][:1] == [reason], [one.message for one in found]
    after = watched(follow(setting, found[0]), load, hours=hours)
    assert reason not in {one.reason for one in after}, [one.message for one in after]
    assert not {Advice.RAISE_MAX_NUM_SEQS, Advice.LOWER_MAX_NUM_SEQS} & {one.reason for one in after}, "no to and fro"


def test_a_load_that_fits_is_left_alone() -> None:
    """Two thirds of what the engine can do, at random times: nothing to say after an hour."""
    assert watched(Setting(), Load(prompt=500, output=100, per_second=2), hours=1.2) == ()
