"""Which traces autoscalers are compared on, on which GPUs, and what a request must keep.

`traces.py` makes the requests. A trace is scaled so that the replicas that its highest minute needs are a given
number, by the load that one replica bears with the SLO held.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llmfleet.engine.speed import CONTEXT_OVER_BOUND, FLOOR_OVER_BOUND, KNOWN_DOUBT, TOKEN_OVER_BOUND, Speed, Start
from llmfleet.sim.capacity import Memory, capacity, default_max_num_batched_tokens, default_max_num_seqs
from llmfleet.sim.outcome import Slo
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.sequence import Limits
from llmfleet.sim.spec import FleetSpec

HOUR, DAY = 3600.0, 86_400.0
Part = tuple[float, float]
"""From and to, in seconds of a trace."""

CODING = Slo(ttft=2.0, itl=math.inf)
CHAT = Slo(ttft=2.0, itl=0.050)
"""Its ITL is the engine's, see `Engine.chat_itl`: as a limit of each single request 50 ms is past what they can do."""
REASONING = Slo(ttft=5.0, itl=0.060)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One trace."""

    name: str
    title: str
    slo: Slo
    whole: Part
    train: Part
    """What knobs are tuned on, drawn with a seed of its own."""
    short: Part
    """What the short form plays."""
    service: str = ""
    """Azure 2024's name of the service whose lengths it has, and whose rates where there are no clients."""
    clients: str | None = None
    """ServeGen's name of the model whose clients it has."""
    morning: float = 0.0
    """Second from which a part of a week is played: early on its first working day, when load is about to rise."""
    rate: int | None = None
    """Times the source's own rate at which it is played; None: the rate follows from the replicas that the highest
    minute shall need."""
    given: bool = False
    """Whether its files have to be given by --traces, since they are not kept here."""


CASES: Mapping[str, Case] = {
    case.name: case
    for case in (
        Case(
            name="coding-week",
            title="A1 coding week (Azure 2024)",
            service="code",
            slo=CODING,
            whole=(0.0, 7 * DAY),
            train=(10 * HOUR, 18 * HOUR),
            morning=3 * DAY + 8 * HOUR,
            short=(3 * DAY + 11.5 * HOUR, 3 * DAY + 14.5 * HOUR),
        ),
        Case(
            name="chat-week",
            title="A2 chat week (Azure 2024)",
            service="conv",
            slo=CHAT,
            whole=(0.0, 7 * DAY),
            train=(8 * HOUR, 16 * HOUR),
            morning=DAY + 8 * HOUR,
            short=(DAY + 11 * HOUR, DAY + 13.5 * HOUR),
        ),
        Case(
            name="coding-hour",
            title="A3 coding hour (Azure 2023)",
            slo=CODING,
            whole=(0.0, HOUR),
            train=(0.0, HOUR / 2),
            short=(0.0, HOUR),
            rate=1,
        ),
        Case(
            name="coding-hour-4x",
            title="A3 coding hour at 4x rate",
            slo=CODING,
            whole=(0.0, HOUR),
            train=(0.0, HOUR / 2),
            short=(0.0, HOUR),
            rate=4,
        ),
        Case(
            name="reasoning-day",
            title="A4 reasoning day (ServeGen R1)",
            clients="deepseek-r1",
            slo=REASONING,
            whole=(0.0, DAY),
            train=(0.0, DAY / 4),
            short=(9 * HOUR, 12 * HOUR),
        ),
        Case(
            name="small-week",
            title="A5 second week of a small model (ServeGen m-small)",
            service="conv",
            clients="m-small",
            slo=CHAT,
            whole=(7 * DAY, 14 * DAY),
            train=(8 * HOUR, 16 * HOUR),
            morning=7 * DAY + 8 * HOUR,
            short=(7 * DAY, 7 * DAY + 4 * HOUR),
            given=True,
        ),
        Case(
            name="step",
            title="A6 step 0.3 -> 1.5 -> 0.3",
            slo=CODING,
            whole=(0.0, 1.5 * HOUR),
            train=(0.0, 1.5 * HOUR),
            short=(0.0, 1.5 * HOUR),
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A GPU with Llama-3-8B, and vLLM's own limits for it."""

    name: str
    profile: str
    utilization: float
    bandwidth: float
    """Bytes/s, by the data sheet."""
    flops: float
    """Dense operations/s in 16 bits, by the data sheet."""
    chat_itl: float
    """Seconds: a step that prefills as many tokens as vLLM's default lets it. An answer of a few tokens has that as its
    mean ITL, whatever an autoscaler does, when a neighbour's prompt is computed meanwhile."""

    def fleet(self) -> FleetSpec:
        """A fleet of it."""
        profile = PROFILES[self.profile]
        memory = profile.gpu_memory_gib
        limits = Limits(
            blocks=capacity(profile, Memory(memory, self.utilization)).blocks,
            max_num_seqs=default_max_num_seqs(profile, memory),
            max_num_batched_tokens=default_max_num_batched_tokens(profile, memory),
        )
        return FleetSpec(limits=limits, step_time=profile.step_time(1))

    def start(self) -> Start:
        """What our autoscaler is told of it before it has seen it."""
        model, fleet = PROFILES[self.profile].model, self.fleet()
        speed = Speed(
            floor=FLOOR_OVER_BOUND * model.weights_bytes / self.bandwidth,
            token=TOKEN_OVER_BOUND * model.weights_bytes / self.flops,  # two operations and two bytes a parameter
            context=CONTEXT_OVER_BOUND * model.kv_bytes_per_token / self.bandwidth,
        )
        return Start(speed, KNOWN_DOUBT, fleet.limits.max_num_batched_tokens, fleet.limits.max_num_seqs)


ENGINES: Mapping[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="A100-40G",
            profile="a100-40g-8b",
            utilization=0.9,
            bandwidth=1.555e12,
            flops=312e12,
            chat_itl=0.150,
        ),
        Engine(name="H200", profile="h200-8b", utilization=0.92, bandwidth=4.8e12, flops=989e12, chat_itl=0.200),
    )
}


def slo_of(case: str, engine: str) -> Slo:
    """What a request of a case must keep on an engine."""
    slo = CASES[case].slo
    return replace(slo, itl=ENGINES[engine].chat_itl) if slo is CHAT else slo
