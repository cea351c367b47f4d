"""`make test`: runs the tiers in order, prepares what each needs, and says at the end in one line how it went.

A tier that cannot run here is named with the reason. Everything else counts: a stage that fails, finds no tests or
lacks something that could have been had makes the exit code 1.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from tests.cluster import build, go_tools, packages, processes
from tests.cluster.go_tools import Tool
from tests.cluster.packages import Package
from tests.cluster.paths import REPOSITORY
from tests.engine import environment
from tests.scan import environment as scan_environment

PYTEST = ("-m", "pytest", "-q")
STORIES = "tests/node/stories"
BY_FILE = ("--numprocesses=3", "--dist=loadfile")  # a file's cluster is started once
WORKERS = ("--numprocesses=4", "--maxschedchunk=1")  # stories wait far more than they work


SAID = 700  # characters of a failed test's message that are said again at the end

Stage = tuple[str, ...]
"""A command line; the first word is -m for a Python module, else a program in the virtual environment."""


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Stages that need the same things."""

    name: str
    stages: tuple[Stage, ...]
    beside: tuple[Stage, ...] = ()
    """Run one after the other while the stages run: they wait more than they work. What they print comes afterwards."""
    tools: tuple[Tool, ...] = ()
    packages: tuple[Package, ...] = ()
    prepare: Callable[[], object] | None = None
    """Makes what else it needs, and says so."""


LINT = Tier(
    name="lint",
    stages=(("ruff", "check"), ("ruff", "format", "--check"), ("mypy",), ("lint-imports", "--no-logo")),
)
UNIT = Tier(
    name="unit",
    stages=((*PYTEST, *BY_FILE, "-m", "not thorough", "tests/unit", "tests/golden", "tests/crd", "tests/chart"),),
    beside=LINT.stages,
    tools=go_tools.CHART_CHECKS,
)
FLEETS = Tier(name="fleets", stages=((*PYTEST, "--numprocesses=2", "-m", "thorough", "tests/unit"),))
CONTROL_PLANE = Tier(
    name="control_plane",
    stages=((*PYTEST, *BY_FILE, "tests/control_plane", "-m", "not scale and not thorough"),),
    tools=go_tools.CONTROL_PLANE,
)
CONTROL_PLANE_WHOLE = replace(
    CONTROL_PLANE,
    name="control_plane_whole",
    stages=((*PYTEST, *BY_FILE, "tests/control_plane", "-m", "not scale"),),
)
TOGETHER = (*PYTEST, STORIES, "-m", "not alone and not keda and not heavy", *WORKERS)
HEAVY = (*PYTEST, STORIES, "-m", "heavy")
ALONE = (*PYTEST, STORIES, "-m", "alone")
NODE_ITSELF = (*PYTEST, "tests/node/test_node.py", "tests/node/test_images.py")
NODE = Tier(
    name="node",
    stages=((*PYTEST, STORIES, "-m", "not alone and not keda and not thorough and not heavy", *WORKERS), NODE_ITSELF),
    beside=((*PYTEST, STORIES, "-m", "alone and not thorough"),),
    tools=go_tools.NODE_WITH_MONITORING,
    packages=packages.NODE,
)
E2E = replace(
    NODE, name="e2e", stages=(TOGETHER, HEAVY), beside=(ALONE, (*PYTEST, "tests/node", f"--ignore={STORIES}"))
)
KEDA = Tier(
    name="keda",
    stages=((*PYTEST, STORIES, "-m", "keda"),),
    tools=go_tools.NODE_WITH_KEDA,
    packages=packages.NODE,
)
ON_CONTEXT = {
    NODE: Tier(name="e2e", stages=(TOGETHER, ALONE, HEAVY), tools=go_tools.CLIENT),
    E2E: Tier(name="e2e", stages=(TOGETHER, ALONE, HEAVY), tools=go_tools.CLIENT),
    KEDA: replace(KEDA, tools=go_tools.CLIENT, packages=()),
}
"""What runs in their place on somebody's cluster."""
SCALE = Tier(
    name="scale",
    stages=((*PYTEST, "-s", "tests/control_plane", "-m", "scale"), ("-m", "tests.bench.control_plane_scale", "300")),
    tools=go_tools.SCALE,
)
BENCH = Tier(name="bench", stages=(("-m", "tests.bench.autoscalers"),))
"""Fails when our autoscaler has become worse than the figures that are kept, and says by how much."""
ON_ENGINE_NODE = "tests/engine/test_node.py"
# A start of vLLM keeps one core busy; each file has its own server. In the order of their names, the longest is first.
TWO_FILES = ("--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")
ENGINE = Tier(
    name="engine",
    stages=((*PYTEST, "tests/engine", f"--ignore={ON_ENGINE_NODE}", *TWO_FILES),),
    prepare=environment.ensure,
)
SCAN = Tier(
    name="scan",
    stages=((*PYTEST, "tests/scan"),),
    tools=go_tools.CHART_CHECKS,
    prepare=scan_environment.ensure,
)
ENGINE_NODE = Tier(
    name="engine_node",
    stages=((*PYTEST, "-s", ON_ENGINE_NODE),),
    tools=go_tools.NODE,
    packages=packages.NODE,
    prepare=environment.image,
)
TIERS = {
    tier.name: tier
    for tier in (
        LINT,
        UNIT,
        CONTROL_PLANE,
        CONTROL_PLANE_WHOLE,
        NODE,
        E2E,
        KEDA,
        SCALE,
        BENCH,
        FLEETS,
        SCAN,
        ENGINE,
        ENGINE_NODE,
    )
}
DEFAULT = (UNIT, CONTROL_PLANE, NODE)
ALL = (UNIT, SCAN, CONTROL_PLANE_WHOLE, E2E, KEDA, SCALE, BENCH, FLEETS, ENGINE, ENGINE_NODE)


@dataclass
class Report:
    """What happened."""

    passed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """A line or a few for each failed test, for the end of an output that is long or was cut."""
    seconds: dict[str, float] = field(default_factory=dict)
    """What took how long."""

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Take the time of something."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - began

    def sentence(self) -> str:
        """The last line."""
        outcomes = {"passed": self.passed, "failed": self.failed, "skipped": self.skipped}
        parts = [f"{word}: {', '.join(names)}" for word, names in outcomes.items() if names]
        times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.seconds.items())
        total = f"{sum(self.seconds.values()):.0f} s ({times})"
        return f"{'FAILED' if self.failed else 'OK'} in {total}. {'; '.join(parts)}"


def why_not(tier: Tier) -> str:
    """The reason for which a tier cannot run here; empty if it can."""
    if tier in ON_CONTEXT and os.geteuid() != 0:
        return "needs root, or a cluster of yours: make test CONTEXT=NAME"
    if tier is ENGINE_NODE and os.geteuid() != 0:
        return "needs root"
    return environment.why_not() if tier in (ENGINE, ENGINE_NODE) else ""


def prepare(tiers: tuple[Tier, ...]) -> None:
    """Build what all the tiers need in one go, because what is compiled on the way is shared and then thrown away.

    A failure is told here and counted by the tiers that it concerns.
    """
    tools = [tool for tier in tiers if not why_not(tier) for tool in tier.tools]
    try:
        build.ensure(dict.fromkeys(tools))
    except (processes.CommandError, packages.MissingPackagesError) as error:
        print(f"not everything could be built: {error}", flush=True)


def run_tier(tier: Tier, context: str, report: Report) -> None:
    """Prepare and run one tier; its stages all run, whatever the first says."""
    if reason := why_not(tier):
        report.skipped.append(f"{tier.name} ({reason})")
        return
    with report.timed(tier.name):
        try:
            packages.ensure(tier.packages)
            build.ensure(tier.tools)
            if tier.prepare:
                tier.prepare()
        except (processes.CommandError, packages.MissingPackagesError) as error:
            print(f"{tier.name}: cannot be prepared: {error}", flush=True)
            report.failed.append(tier.name)
            return
        failures = run_stages(tier, context)
    (report.failed if failures else report.passed).append(tier.name)
    report.failures += failures


def run_stages(tier: Tier, context: str) -> list[str]:
    """Run all stages of a tier, some beside the others; what failed."""
    with tempfile.TemporaryFile("w+") as heard, ThreadPoolExecutor(1) as lane:
        beside = lane.submit(lambda: [run_stage(stage, context, output=heard) for stage in tier.beside])
        results = [run_stage(stage, context, output=sys.stdout) for stage in tier.stages]
        results += beside.result()
        heard.seek(0)
        print(heard.read(), end="", flush=True)
    return [failure for failures in results for failure in failures]


def run_stage(stage: Stage, context: str, *, output: TextIO) -> list[str]:
    """Run one command line and say how long it took; what failed in it."""
    programs = Path(sys.executable).parent
    first = [sys.executable] if stage[0] == "-m" else []
    argv = [*first, *(stage if first else (str(programs / stage[0]), *stage[1:]))]
    if context and STORIES in stage:  # somebody's cluster in the place of a node of ours
        argv.append(f"--context={context}")
    print(f"\n--- {' '.join(stage)}", file=output, flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        if stage[: len(PYTEST)] == PYTEST:
            argv += [f"--junitxml={results}", "-o", "junit_family=xunit1"]  # xunit2 has no place for figures
        code, complaint = run_program(argv, output)
        failures = failed_tests(results.read_text()) if code and results.exists() else []
    words = "ok" if code == 0 else f"FAILED ({code})"
    print(f"--- {words} after {time.monotonic() - began:.1f} s", file=output, flush=True)
    if not code or failures:
        return failures
    return [f"{' '.join(stage)}: exit code {code}{complaint and f'. {complaint}'}"]


def run_program(argv: list[str], output: TextIO) -> tuple[int, str]:
    """Run it with all that it prints going to `output`; its exit code, and the end of what came by standard error."""
    complaint = ""
    with subprocess.Popen(argv, cwd=REPOSITORY, stdout=output, stderr=subprocess.PIPE, text=True) as program:
        for line in program.stderr or ():
            print(line, end="", file=output, flush=True)
            complaint = (complaint + line)[-SAID:]
    return program.returncode, complaint.strip()


def failed_tests(results: str) -> list[str]:
    """Each failed test of a JUnit report (pytest's own) with the beginning of what it said."""
    return [
        f"{case.get('classname')}::{case.get('name')}: {outcome.get('message', '')[:SAID]}"
        for case in ET.fromstring(results).iter("testcase")  # noqa: S314 our own pytest wrote it
        for outcome in case
        if outcome.tag in ("failure", "error")
    ]


def main(argv: list[str]) -> int:
    """Run the tiers named."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("tiers", nargs="+", choices=[*TIERS, "all"], help="all is: " + " ".join(t.name for t in ALL))
    parser.add_argument("--context", default="", help="a context of your kubeconfig, for the stories")
    parser.add_argument("--torch-wheel", help=f"torch for CPUs, a file or its folder; else {environment.VARIABLE}")
    options = parser.parse_args(argv)
    if options.torch_wheel:
        os.environ[environment.VARIABLE] = options.torch_wheel
    chosen = ALL if "all" in options.tiers else tuple(TIERS[name] for name in dict.fromkeys(options.tiers))
    report = Report()
    if chosen == DEFAULT:
        report.skipped += [
            "scale, bench, scanners, KEDA, the real vLLM, and what is marked thorough (TIERS=all runs them)"
        ]
    tiers = tuple(ON_CONTEXT.get(tier, tier) if options.context else tier for tier in chosen)
    with report.timed("programs"):
        prepare(tiers)
    for tier in tiers:
        run_tier(tier, options.context, report)
    for failure in report.failures:
        print(f"\nFAILED {failure}", flush=True)
    print(f"\n{report.sentence()}", flush=True)
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
