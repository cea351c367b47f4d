"""The memory plan against the engines that this project measured on a GPU."""

import pytest

from llmfleet.engine.memory.plan import Verdict, plan
from tests.unit.engine.measured import Measured, measured_runs

RUNS = measured_runs()
TOLERANCE = 0.05

started = pytest.mark.parametrize("run", [run for run in RUNS if run.tokens], ids=lambda run: run.name)
refused = pytest.mark.parametrize("run", [run for run in RUNS if run.tokens is None], ids=lambda run: run.name)


@started
def test_tokens_are_within_five_percent(run: Measured) -> None:
    found = plan(run.architecture, run.setup, run.gpu)
    assert found.kv_tokens == pytest.approx(run.tokens, rel=TOLERANCE)


@started
def test_what_starts_is_not_refused(run: Measured) -> None:
    assert plan(run.architecture, run.setup, run.gpu).verdict is not Verdict.DOES_NOT_FIT


@refused
def test_what_does_not_start_is_never_said_to_fit(run: Measured) -> None:
    assert plan(run.architecture, run.setup, run.gpu).verdict is not Verdict.FITS
