"""The autoscalers that are compared, by name: ours and the peers'. What of the code each depends on."""

from pathlib import Path

from llmfleet.api.v1alpha1 import Objective, ScalingSpec
from llmfleet.scaling.config import ScalingConfig
from llmfleet.sim.ours import Ours
from llmfleet.sim.outcome import Slo
from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.catalogue import PEERS as CATALOGUE
from llmfleet.sim.rule import Rule
from tests.bench.autoscalers.cases import ENGINES
from tests.bench.autoscalers.results import OURS as OUR_FILES
from tests.bench.autoscalers.results import PEERS as PEER_FILES

OURS = {
    "llmfleet": Objective.BALANCED,
    "llmfleet Latency": Objective.LATENCY,
    "llmfleet Throughput": Objective.THROUGHPUT,
}
PEERS = tuple(name for name in CATALOGUE if not name.startswith("static-"))
NAMES = (*OURS, *PEERS)
"""Static fleets are there beside: their number follows from the trace."""
TTFT_SECONDS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0, 45.0, 64.0)
"""Values of `targets.ttftSeconds`, our main knob: it moves what of a replica's time may be used and how soon a queue is
to be gone; `targets.utilizationPercent` moves nothing where the time to first token binds, as with these prompts."""


def make(name: str, bounds: Bounds, knob: float | None, *, engine: str, slo: Slo) -> Rule:
    """A new one; without a knob as shipped.

    Ours is told the GPU's data sheet and, with the default objective, the TTFT that is wanted.
    """
    if name not in OURS:
        return CATALOGUE[name].rule(bounds, knob)
    told = {"ttftSeconds": slo.ttft} if OURS[name] is Objective.BALANCED else {}
    targets = told if knob is None else {"ttftSeconds": knob}
    spec = ScalingSpec.model_validate(
        {"minReplicas": bounds.least, "maxReplicas": bounds.most, "objective": OURS[name], "targets": targets}
    )
    return Ours(ScalingConfig.from_spec(spec, ENGINES[engine].start()))


def grid(name: str) -> tuple[float, ...]:
    """Values of the knob to try, from eager to thrifty; none where only the preset counts."""
    if name in OURS:
        return TTFT_SECONDS if OURS[name] is Objective.BALANCED else ()
    return CATALOGUE[name].grid


def sources(name: str) -> tuple[Path, ...]:
    """Files and folders that the rule's answers depend on."""
    return OUR_FILES if name in OURS else PEER_FILES
