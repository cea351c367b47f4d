"""The simulated H200 beside the measured one, figure by figure: `python -m tests.bench.simulator_h200` prints Markdown.

What is off by more than allowed (throughput, ITL, step time and running requests 5 %, KV usage 0.05, TTFT 0.1 s or
20 %) is printed bold and counted at the end. `--engine-alone` leaves the API server out.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict

from llmfleet.sim.fleet import NO_API_SERVER, ApiServer
from tests.unit.sim import h200

COLUMNS = {
    "rate": "tokens/s; requests/s",
    "itl_ms": "ITL ms",
    "kv": "KV",
    "ttft_p50": "TTFT p50 s",
    "ttft_p90": "p90",
    "ttft_p99": "p99",
    "running": "running",
    "step_ms": "step ms",
}


def pairs(server: ApiServer) -> Iterator[tuple[str, h200.Figures, h200.Figures]]:
    """Name, measured, simulated."""
    for case in h200.CLOSED["cases"]:
        name = f"{case['streams']} x {case['in']:,} -> {case['out']}"
        yield name, h200.measured(case), h200.closed_loop(case, server)
    for name, (_, real) in h200.OPEN.items():
        yield f"open loop, {name}", real, h200.open_loop(name, server)


def cell(name: str, model: float | None, real: float | None) -> tuple[str, bool]:
    """Measured, simulated and how far off; whether that is too far."""
    if model is None or real is None:
        return "", False
    off, allowed = h200.deviation(name, model, real)
    digits = 0 if real > 100 else 1 if real > 10 else 3
    text = (
        f"{real:,.{digits}f} / {model:,.{digits}f} ({off:+.3f})"
        if name == "kv"
        else (f"{real:,.{digits}f} / {model:,.{digits}f} ({off:+.1%})")
    )
    return text if allowed else f"**{text}**", not allowed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine-alone", action="store_true")
    server = NO_API_SERVER if parser.parse_args().engine_alone else ApiServer()
    print(f"| measured / simulated | {' | '.join(COLUMNS.values())} |")
    print("|---|" + "---|" * len(COLUMNS))
    off = total = 0
    for name, real, model in pairs(server):
        cells = [cell(column, asdict(model)[column], asdict(real)[column]) for column in COLUMNS]
        off += sum(bad for _, bad in cells)
        total += sum(bool(text) for text, _ in cells)
        print(f"| {name} | {' | '.join(text for text, _ in cells)} |")
    print(f"\n{off} of {total} figures are off by more than allowed (bold).")


if __name__ == "__main__":
    main()
