"""One autoscaler on one part of a trace: what to run, and the run."""

import functools
import json
import math
import time
from dataclasses import dataclass, replace

from llmfleet.sim.capacity_search import Search, highest_load
from llmfleet.sim.fleet import simulate
from llmfleet.sim.optimum import MINUTE, Foresight, Planned, demand, needed, reactive, spans
from llmfleet.sim.outcome import Outcome
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.static import Static
from llmfleet.sim.rule import Rule
from llmfleet.sim.spec import FleetSpec, Startup
from llmfleet.sim.trace import Trace
from tests.bench.autoscalers import rules, traces
from tests.bench.autoscalers.cases import CASES, ENGINES, HOUR, Part, slo_of
from tests.bench.autoscalers.results import FLEET, Result, fingerprint
from tests.cluster.paths import cache_folder

SPARE = 2
"""maxReplicas as a multiple of what the highest minute needs."""
SCRAPE = 15.0
"""Seconds, of the reactive bound."""
ORACLES = ("offline optimum", "one-step oracle", "static peak", "static mean")
"""Rules that know the trace."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What all autoscalers of a comparison share."""

    case: str
    engine: str = "A100-40G"
    peak: int = 8
    """Replicas that the highest minute needs, where the case is scaled."""
    startup: float = 120.0
    """Seconds, +-20 %."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run."""

    setting: Setting
    rule: str
    knob: float | None = None
    """None: as shipped."""
    seed: int
    part: Part


@dataclass(frozen=True)
class Load:
    """What comes, and what it needs."""

    trace: Trace
    need: list[int]
    fleet: FleetSpec
    optimum: float
    """GPU-seconds within the run."""
    reactive: float


def key(job: Job) -> str:
    """Names the job and the code that its result depends on."""
    return fingerprint((*FLEET, *rules.sources(job.rule)), job)


@functools.lru_cache(maxsize=64)
def capacity(case: str, engine: str) -> float:
    """Requests/s that one replica bears with 99 % of a case's requests in SLO; kept on disk, as it takes a while."""
    path = cache_folder() / "bench" / f"capacity-{fingerprint(FLEET, case, engine)}.json"
    if path.exists():
        return float(json.loads(path.read_text()))
    found = CASES[case]
    edge = highest_load(ENGINES[engine].fleet(), traces.lengths(found), slo_of(case, engine), search=Search())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(edge))
    return edge


@functools.lru_cache(maxsize=2)
def load(setting: Setting, seed: int, part: Part) -> Load:
    """The requests of a part, and the bounds that go with them."""
    edge = capacity(setting.case, setting.engine)
    trace = traces.load(CASES[setting.case], peak=setting.peak * edge, seed=seed, part=part)
    rates = demand(trace.at, seconds=trace.span)
    need = needed(rates, edge)
    fleet = replace(
        ENGINES[setting.engine].fleet(),
        startup=Startup(setting.startup, 0.2),
        max_replicas=SPARE * max(need),
        initial=need[0],
    )
    lives = spans(need, startup=setting.startup)
    paid = sum(min(life.end, trace.span) - max(life.begin, 0.0) for life in lives)
    late = reactive(rates, edge, delay=SCRAPE + setting.startup)
    return Load(trace, need, fleet, paid, late.paid)


def make(job: Job, given: Load) -> Rule:
    """A new autoscaler."""
    bounds = Bounds(given.fleet.min_replicas, given.fleet.max_replicas)
    longest = given.fleet.startup.seconds * (1 + given.fleet.startup.spread)
    match job.rule:
        case "offline optimum":
            return Planned(given.need, startup=longest)
        case "one-step oracle":
            return Foresight(given.need, startup=longest)
        case "static peak":
            return Static(bounds, max(given.need))
        case "static mean":
            return Static(bounds, max(1, round(sum(given.need) / len(given.need))))
    setting = job.setting
    slo = slo_of(setting.case, setting.engine)
    return rules.make(job.rule, bounds, job.knob, engine=setting.engine, slo=slo)


def run(job: Job) -> Result:
    """Play the part to the autoscaler."""
    given = load(job.setting, job.seed, job.part)
    began = time.monotonic()
    outcome = simulate(given.fleet, given.trace, make(job, given), seed=job.seed)
    return _result(job, given, outcome, wall=time.monotonic() - began)


def _result(job: Job, given: Load, outcome: Outcome, *, wall: float) -> Result:
    window = HOUR if given.trace.span > 6 * HOUR else 10 * MINUTE
    return Result(
        rule=job.rule,
        knob=job.knob,
        case=job.setting.case,
        seed=job.seed,
        requests=len(given.trace),
        in_slo=outcome.attainment(slo_of(job.setting.case, job.setting.engine)),
        gpu_hours=outcome.gpu_hours,
        optimum_gpu_hours=given.optimum / 3600,
        reactive_gpu_hours=given.reactive / 3600,
        ttft_p50=outcome.ttft_quantile(0.5),
        ttft_p99=outcome.ttft_quantile(0.99),
        worst_ttft_p99=outcome.worst_ttft_p99(window=window),
        itl_p99=outcome.itl_quantile(0.99),
        actions=outcome.actions,
        reversals=outcome.reversals,
        peak=max((change.pods for change in outcome.changes), default=0),
        failed=outcome.failed,
        needed=max(given.need),
        mean_needed=math.fsum(given.need) / len(given.need),
        wall=wall,
    )
