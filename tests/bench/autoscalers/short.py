"""The short form: ours and the strongest others on slices of the traces, held against stored figures. Minutes.

It is for whoever changes the policy or the simulator: it says what became worse, and by how much.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.bench.autoscalers import table
from tests.bench.autoscalers.cases import CASES
from tests.bench.autoscalers.jobs import Job, Setting
from tests.bench.autoscalers.pool import run_all
from tests.bench.autoscalers.results import Result, Shelf

STORED = Path(__file__).parents[1] / "results" / "autoscalers-short.json"
SLICES = ("coding-week", "chat-week", "coding-hour", "reasoning-day", "step")
OTHERS = ("one-step oracle", "keda-running-2", "hpa-kv-queue", "kubeai")
LESS_SLO = 0.005
"""What ours may lose, as a share of the requests."""
MORE_COST = 0.05
"""What ours may cost more, as a share of the GPU-hours."""


def jobs() -> list[Job]:
    """A run for each autoscaler and slice; the seed is 1."""
    return [
        Job(setting=Setting(case=case), rule=rule, seed=1, part=CASES[case].short)
        for case in SLICES
        for rule in (table.OURS, *OTHERS)
    ]


def check(shelf: Shelf, *, update: bool) -> int:
    """Run, print the table and what became worse; the process's exit code."""
    results = run_all(jobs(), shelf=shelf)
    print("\n".join(table.summary(table.rows(results.values()))))
    ours = [result for result in results.values() if result.rule == table.OURS]
    if update:
        STORED.parent.mkdir(exist_ok=True)
        STORED.write_text(json.dumps(_figures(ours), indent=2) + "\n")
        print(f"stored: {STORED}")
        return 0
    worse = list(complaints(ours, json.loads(STORED.read_text())))
    for sentence in worse:
        print(sentence, file=sys.stderr)
    return 1 if worse else 0


def complaints(ours: Sequence[Result], stored: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """A sentence for each figure that is worse than the stored one by more than its margin."""
    for result in ours:
        before = stored[result.case]
        now = _figures([result])[result.case]
        what = f"The autoscaler became worse on {CASES[result.case].title}"
        remedy = (
            "Repeat with `make bench`; if the change is meant, store the new figures with "
            "`make bench ARGS=--update` and say why in the commit."
        )
        if now["inSlo"] < before["inSlo"] - LESS_SLO:
            yield (
                f"{what}: {100 * now['inSlo']:.2f} % of the requests are in SLO, it was {100 * before['inSlo']:.2f} % "
                f"and may be {100 * LESS_SLO:g} points less. {remedy}"
            )
        if now["gpuHours"] > before["gpuHours"] * (1 + MORE_COST):
            yield (
                f"{what}: it took {now['gpuHours']:.2f} GPU-hours, it was {before['gpuHours']:.2f} and may be "
                f"{100 * MORE_COST:g} % more. {remedy}"
            )


def _figures(ours: Sequence[Result]) -> dict[str, dict[str, float]]:
    return {result.case: {"inSlo": round(result.in_slo, 5), "gpuHours": round(result.gpu_hours, 3)} for result in ours}
