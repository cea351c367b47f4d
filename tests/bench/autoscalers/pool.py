"""Jobs -> results, on all the cores there are; what is on the shelf is not run again."""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor, as_completed

from tests.bench.autoscalers.jobs import Job, key, run
from tests.bench.autoscalers.results import Result, Shelf


def known(jobs: Iterable[Job], *, shelf: Shelf) -> dict[Job, Result]:
    """What is on the shelf."""
    return {job: kept for job in dict.fromkeys(jobs) if (kept := shelf.get(key(job)))}


def run_all(jobs: Iterable[Job], *, shelf: Shelf, workers: int | None = None, quiet: bool = False) -> dict[Job, Result]:
    """Run what is not on the shelf, and say how far it is.

    Raises:
        RuntimeError: a job failed; the others are on the shelf by then.
    """
    asked = list(dict.fromkeys(jobs))
    found = known(asked, shelf=shelf)
    left = [job for job in asked if job not in found]
    if not left:
        return found
    if not quiet:
        _say(f"{len(left)} runs to do, {len(found)} known already")
    progress = _Progress(len(left), quiet=quiet)
    failed: dict[Job, BaseException] = {}
    with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
        # neighbours share their trace, which a worker keeps
        started: Mapping[Future[Result], Job] = {pool.submit(run, job): job for job in left}
        for future in as_completed(started):
            job = started[future]
            if error := future.exception():
                failed[job] = error
                continue
            found[job] = future.result()
            shelf.put(key(job), found[job])
            progress.done(job, found[job])
    if failed:
        job, error = next(iter(failed.items()))
        raise RuntimeError(f"{len(failed)} of {len(left)} runs failed, the first was {job}: {error}") from error
    return found


class _Progress:
    """A line for each run, with the time that is left at this speed."""

    def __init__(self, runs: int, *, quiet: bool) -> None:
        self._runs, self._quiet = runs, quiet
        self._finished, self._began = 0, time.monotonic()

    def done(self, job: Job, result: Result) -> None:
        self._finished += 1
        if self._quiet:
            return
        each = (time.monotonic() - self._began) / self._finished
        left = each * (self._runs - self._finished)
        _say(
            f"[{self._finished}/{self._runs}, {left / 60:.0f} min left] {job.setting.case} {job.rule}"
            f"{'' if job.knob is None else f' at {job.knob:g}'}, seed {job.seed}: "
            f"{100 * result.in_slo:.2f} % in SLO, {result.cost:.2f} x optimum, {result.wall:.0f} s"
        )


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
