"""Which runs a comparison is made of: as shipped, and tuned on a part of the trace."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.bench.autoscalers import rules, tuning
from tests.bench.autoscalers.cases import CASES, DAY, Case, Part
from tests.bench.autoscalers.jobs import ORACLES, Job, Setting
from tests.bench.autoscalers.results import Result
from tests.bench.autoscalers.traces import DATA, folder

TRAINING_SEED = 0
"""Of the requests that knobs are tuned on; those that count are drawn with 1 and up."""
RunAll = Callable[[Iterable[Job]], Mapping[Job, Result]]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A comparison."""

    cases: Sequence[str]
    rules: Sequence[str]
    setting: Setting
    """Of all cases; its own case does not count."""
    seeds: int = 1
    days: float | None = None
    """Days of a week that are played, from its first working morning; None: the whole."""
    tune: Sequence[str] = ()
    """Rules whose knob is tuned too."""

    def part(self, case: Case) -> Part:
        """What of a case is played."""
        start, end = case.whole
        if self.days is None or end - start <= self.days * DAY:
            return case.whole
        return case.morning, case.morning + self.days * DAY

    def jobs(self, case: Case, *, rule: str, knob: float | None) -> list[Job]:
        """A run for each seed."""
        setting = replace(self.setting, case=case.name)
        part = self.part(case)
        return [Job(setting=setting, rule=rule, knob=knob, seed=seed + 1, part=part) for seed in range(self.seeds)]

    def training(self, case: Case, *, rule: str, knob: float) -> Job:
        """The run on the slice for tuning."""
        setting = replace(self.setting, case=case.name)
        return Job(setting=setting, rule=rule, knob=knob, seed=TRAINING_SEED, part=case.train)

    def run(self, run_all: RunAll) -> list[Result]:
        """All of it, as far as `run_all` has results: the training first, since what is tuned follows from it."""
        tuned = self.tuned(run_all)
        jobs = []
        for case in (CASES[name] for name in self.cases):
            for rule in (*ORACLES, *self.rules):
                jobs += self.jobs(case, rule=rule, knob=None)
                if knob := tuned.get((case.name, rule)):
                    jobs += self.jobs(case, rule=rule, knob=knob)
        results = run_all(jobs)
        return [results[job] for job in jobs if job in results]

    def tuned(self, run_all: RunAll) -> dict[tuple[str, str], float]:
        """(case, rule) -> the best value of its knob; the searches go side by side."""
        tried: dict[tuple[str, str], dict[float, Result]] = {
            (case, rule): {} for case in self.cases for rule in self.tune if rules.grid(rule)
        }
        while True:
            jobs = {}
            for (case, rule), known in tried.items():
                if knob := tuning.following(rules.grid(rule), known):
                    jobs[self.training(CASES[case], rule=rule, knob=knob)] = known
            if not jobs:
                return {searched: tuning.best(known) for searched, known in tried.items()}
            results = run_all(jobs)
            for job, known in jobs.items():
                if job in results and job.knob is not None:
                    known[job.knob] = results[job]
                else:
                    del tried[job.setting.case, job.rule]


def available() -> list[str]:
    """The cases whose files are here."""
    return [case.name for case in CASES.values() if not case.given or folder() != DATA]
