"""What the cluster library builds and installs: when it does so, when not, and what it says."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests import run
from tests.cluster import build, go_tools, images, packages, processes
from tests.cluster.go_tools import Tool
from tests.cluster.packages import Package
from tests.cluster.paths import binary_folder, data_folder

ABSENT = Package(name="frobnicator", why="frobnicates", proof="no-such-program")
PRESENT = Package(name="coreutils", why="is everywhere", proof="ls")


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """A program whose module may be changed, with a cache folder of its own."""
    monkeypatch.setenv("LLMFLEET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(go_tools, "MODULES", tmp_path)
    (tmp_path / "hello").mkdir()
    (tmp_path / "hello" / "go.mod").write_text("module example.invalid/hello\n")
    return Tool(name="hello", module="hello", package=".")


def finish(tool: Tool) -> None:
    """Leave what a finished build leaves."""
    for path, content in ((binary_folder() / tool.name, "binary"), (build._stamp(tool), build._digest(tool))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def test_a_program_is_built_again_only_when_its_module_changes(tool: Tool) -> None:
    assert not build._fresh(tool)
    finish(tool)
    assert build._fresh(tool)
    (tool.folder / "README").write_text("no source")
    assert build._fresh(tool)
    (tool.folder / "go.sum").write_text("another hash\n")
    assert not build._fresh(tool)


def test_a_program_is_built_again_with_other_tags_or_when_its_data_are_missing(tool: Tool) -> None:
    finish(tool)
    assert not build._fresh(replace(tool, tags=("less",)))
    with_data = replace(tool, data="config")
    finish(with_data)
    assert not build._fresh(with_data)
    data_folder(tool.name).mkdir(parents=True)
    assert build._fresh(with_data)


def test_a_failed_build_says_why_and_leaves_no_program(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    (tool.folder / "main.go").write_text("package main\n\nfunc main() { undefined() }\n")
    failing = tool.folder / "go"
    failing.write_text("#!/bin/sh\necho 'undefined: undefined' >&2\nexit 1\n")
    failing.chmod(0o755)
    monkeypatch.setattr(build, "_go", lambda: failing)
    with pytest.raises(processes.CommandError, match="undefined: undefined"):
        build.ensure([tool])
    assert not build._fresh(tool)
    assert not (binary_folder() / tool.name).exists()


def test_modules_pin_the_versions_that_are_linked_in() -> None:
    """A version that a program says of itself is the version that its module names."""

    def pinned(folder: str, module: str) -> str:
        words = (go_tools.MODULES / folder / "go.mod").read_text().split()
        return words[words.index(module) + 1]

    assert pinned("kubernetes", "k8s.io/kubernetes") == go_tools.KUBERNETES
    assert pinned("helm", "helm.sh/helm/v3") == go_tools.HELM
    assert pinned("keda", "github.com/kedacore/keda/v2") == f"v{go_tools.KEDA}"
    major, minor, patch = go_tools.PROMETHEUS.split(".")  # as a library its version is 0.(100 * major + minor).patch
    module = f"v0.{100 * int(major) + int(minor)}.{patch}"
    assert pinned("prometheus", "github.com/prometheus/prometheus") == module


DOCKERFILE = """\
FROM docker.io/library/python:3.11-slim AS build
COPY --chown=1:1 pyproject.toml \\
     code/ /build/
FROM docker.io/library/python:3.11-slim
COPY --from=build /build/out /app
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "pyproject.toml").write_text("[project]")
    (tmp_path / "code" / "__pycache__").mkdir(parents=True)
    (tmp_path / "code" / "a.py").write_text("a = 1")
    return tmp_path


def test_an_image_depends_on_what_its_dockerfile_copies(context: Path) -> None:
    assert list(images._copied(context / "Dockerfile")) == ["pyproject.toml", "code/"]


@pytest.mark.parametrize(
    ("path", "content", "changes"),
    [
        ("Dockerfile", DOCKERFILE + "USER 1\n", True),
        ("pyproject.toml", "[tool]", True),
        ("code/a.py", "a = 2", True),
        ("code/b.py", "", True),
        ("code/__pycache__/a.pyc", "anything", False),
        ("README.md", "anything", False),
    ],
)
def test_an_image_is_built_again_only_when_its_inputs_change(
    context: Path, path: str, content: str, *, changes: bool
) -> None:
    before = images._digest(context / "Dockerfile", context)
    (context / path).write_text(content)
    assert (images._digest(context / "Dockerfile", context) != before) is changes


def test_a_dockerfile_that_copies_what_is_not_there_is_named(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM scratch\nCOPY nothing /\n")
    with pytest.raises(FileNotFoundError, match="nothing"):
        images._digest(context / "Dockerfile", context)


def test_without_root_missing_packages_are_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    packages.ensure((PRESENT,))
    with pytest.raises(packages.MissingPackagesError) as raised:
        packages.ensure((PRESENT, ABSENT))
    assert str(raised.value) == (
        "missing: frobnicator (frobnicates). As root: apt-get install --yes --no-install-recommends frobnicator"
    )


def test_without_root_the_node_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    report = run.Report(passed=["unit"], seconds={"programs": 1.4, "unit": 1.8})
    run.run_tier(run.NODE, "", report)
    assert report.sentence() == (
        "OK in 3 s (programs 1 s, unit 2 s). "
        "passed: unit; skipped: node (needs root, or a cluster of yours: make test CONTEXT=NAME)"
    )
    assert [run.why_not(tier) for tier in run.ON_CONTEXT.values()] == ["", "", ""]


@pytest.mark.parametrize(("code", "passed"), [("exit 0", True), ("exit 1", False), ("exit 5", False)])
def test_every_exit_code_counts(code: str, *, passed: bool) -> None:
    """5 is pytest's for "no tests found": a tier that has lost its tests has failed."""
    tier = run.Tier(name="unit", stages=(("/bin/true",), ("/bin/sh", "-c", code)))
    report = run.Report()
    run.run_tier(tier, "", report)
    assert (report.passed, report.failed) == ((["unit"], []) if passed else ([], ["unit"]))


@pytest.mark.parametrize(("code", "passed"), [("exit 0", True), ("exit 1", False)])
def test_what_runs_beside_counts_as_much_and_is_heard_afterwards(
    code: str, *, passed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    aside = ("/bin/sh", "-c", f"echo aside; echo trouble >&2; {code}")
    tier = run.Tier(name="unit", stages=(("/bin/sh", "-c", "sleep 0.2; echo main"),), beside=(aside,))
    report = run.Report()
    run.run_tier(tier, "", report)
    assert (report.passed, report.failed) == ((["unit"], []) if passed else ([], ["unit"]))
    heard = capfd.readouterr().out
    assert heard.index("\nmain") < heard.index("\naside") < heard.index("\ntrouble")


def test_the_end_says_again_which_tests_failed_and_why(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whoever sees only the end of a long output learns from it what to look for."""
    wrong = tmp_path / "test_sums.py"
    wrong.write_text(
        "def test_right():\n    pass\n\ndef test_wrong():\n    assert 1 + 1 == 3, 'no such sum'\n\n"
        "def test_without(missing):\n    pass\n"
    )
    stage = (*run.PYTEST, str(wrong), f"--rootdir={tmp_path}", "-p", "no:cacheprovider", "-c", "/dev/null")
    told = ("/bin/sh", "-c", "echo not allowed >&2; exit 7")
    failures = run.run_stages(run.Tier(name="unit", stages=(stage, told)), "")
    assert [failure.splitlines()[0] for failure in failures] == [
        "test_sums::test_wrong: AssertionError: no such sum",
        f'test_sums::test_without: failed on setup with "file {wrong}, line 7',
        "/bin/sh -c echo not allowed >&2; exit 7: exit code 7. not allowed",
    ]
    assert "1 passed" in capfd.readouterr().out
