"""How fast simulated time passes: `python -m tests.bench.simulator_speed` prints a Markdown table.

One replica at the highest load at which it keeps a TTFT p99 of about two seconds, and again overloaded by a tenth
(H200); one core, CPU time. The last column is what an autoscaler costs beside: a fleet with the operator's own policy.
"""

import argparse
from time import process_time

from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.scaling.config import ScalingConfig
from llmfleet.sim.capacity import Memory, capacity, default_max_num_batched_tokens, default_max_num_seqs
from llmfleet.sim.fleet import FleetSpec, simulate
from llmfleet.sim.ours import Ours
from llmfleet.sim.profiles import PROFILES
from llmfleet.sim.rule import Rule, Timing, View
from llmfleet.sim.sequence import Limits
from llmfleet.sim.trace import Trace
from llmfleet.sim.trace_made import poisson, resampled
from tests.unit.sim import h200
from tests.unit.sim.test_overload import REASONING

LENGTHS = {
    "coding": resampled(Trace.of(h200.requests("coding"))),
    "chat": resampled(Trace.of(h200.requests("chat"))),
    "reasoning": REASONING,
}
LOADS = {
    "a100-40g-8b": {"coding": 4.15, "chat": 6.06, "reasoning": 0.66},
    "h100-8b": {"coding": 21.1, "chat": 24.0, "reasoning": 3.3},
    "h200-8b": {"coding": 17.3, "chat": 21.5, "reasoning": 5.4},
    "h200-8b, a tenth too much": {"coding": 21.1, "chat": 26.3, "reasoning": 6.6},
}
"""Requests a second of one replica."""


class Held:
    """The replicas that there are."""

    timing = Timing(period=60.0, scrape=60.0, delay=60.0)

    def decide(self, view: View) -> int:
        return view.replicas


def fleet(name: str, replicas: int) -> FleetSpec:
    profile = PROFILES[name]
    memory = Memory(profile.gpu_memory_gib, 0.92)
    sequences = default_max_num_seqs(profile, profile.gpu_memory_gib)
    tokens = default_max_num_batched_tokens(profile, profile.gpu_memory_gib)
    return FleetSpec(
        limits=Limits(capacity(profile, memory).blocks, 16, sequences, tokens),
        step_time=profile.step_time(1),
        max_model_len=9_500,
        min_replicas=1,
        max_replicas=2 * replicas,
        initial=replicas,
    )


def timed(spec: FleetSpec, trace: Trace, rule: Rule) -> tuple[float, float]:
    """Replica-hours for a second of CPU, and microseconds for a request."""
    started = process_time()
    outcome = simulate(spec, trace, rule)
    spent = process_time() - started
    return outcome.gpu_hours / spent, spent / len(trace) * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000, help="of each run (default: %(default)s)")
    count = parser.parse_args().requests
    print(
        "| replica | load | requests/s | replica-hours/core-second | times real time | us/request | with autoscaler |"
    )
    print("|---|---|---:|---:|---:|---:|---:|")
    for name, loads in LOADS.items():
        for load, rate in loads.items():
            one = poisson([(0.0, rate)], span=count / rate, lengths=LENGTHS[load])
            hours, micros = timed(fleet(name.partition(",")[0], 1), one, Held())
            config = ScalingConfig.from_spec(ScalingSpec(min_replicas=1, max_replicas=8))
            four = poisson([(0.0, 4 * rate)], span=count / rate / 4, lengths=LENGTHS[load])
            _, scaled = timed(fleet(name.partition(",")[0], 4), four, Ours(config))
            print(f"| {name} | {load} | {rate} | {hours:.2f} | {3600 * hours:,.0f} | {micros:.0f} | {scaled:.0f} |")


if __name__ == "__main__":
    main()
