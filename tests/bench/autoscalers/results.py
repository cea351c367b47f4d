"""What one run of one autoscaler on one trace gave, and where it is kept until its inputs change.

Runs take hours, so those that a page shows are kept beside it in the repository, each with the digest of what it
depends on: whoever adds an autoscaler, a trace or a seed plays only what is new.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.cluster.paths import REPOSITORY, cache_folder

PACKAGE = REPOSITORY / "operator" / "llmfleet"
HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
ELSEWHERE = {"ours.py", "advice.py", "plot.py", "scenario.py"}
"""Modules of the simulator that no result but ours, or none at all, depends on."""
FLEET = (
    *(path for path in sorted((PACKAGE / "sim").glob("*.py")) if path.name not in ELSEWHERE),
    PACKAGE / "engine" / "metrics.py",
    *(HERE / name for name in ("cases.py", "traces.py", "jobs.py", "data")),
)
"""What every result depends on."""
PEERS = (PACKAGE / "sim" / "peers",)
OURS = (
    PACKAGE / "sim" / "ours.py",
    PACKAGE / "scaling",
    PACKAGE / "api" / "objectives.py",
    PACKAGE / "api" / "v1alpha1.py",
    PACKAGE / "engine" / "speed.py",
    HERE / "rules.py",
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """One run. A figure of several seeds is the mean, with the lowest and the highest."""

    rule: str
    knob: float | None
    case: str
    seed: int
    requests: int
    in_slo: float
    """Share of the requests, 0 to 1; one that failed or never ended is not in."""
    gpu_hours: float
    optimum_gpu_hours: float
    reactive_gpu_hours: float
    """Of the reactive bound: the demand is known at once, replicas come a scrape and a start-up later."""
    ttft_p50: float
    ttft_p99: float
    worst_ttft_p99: float
    """Seconds, of the hour that was worst."""
    itl_p99: float
    """Seconds, of the requests' means."""
    actions: int
    reversals: int
    """Changes of direction within ten minutes."""
    peak: int
    """The most replicas at once."""
    failed: int
    needed: int
    """Replicas that the highest minute needs."""
    mean_needed: float
    wall: float = 0.0
    """Seconds that the run took here; 0 for one that the repository has."""

    @property
    def cost(self) -> float:
        """GPU-hours as a multiple of the offline optimum."""
        return self.gpu_hours / self.optimum_gpu_hours


def fingerprint(paths: Iterable[Path], *words: object) -> str:
    """A digest of files, of folders' files, and of words."""
    digest = hashlib.sha256(repr(words).encode())
    for path in paths:
        files = (
            sorted(found for found in path.rglob("*") if found.suffix not in {".pyc", ".md"})
            if path.is_dir()
            else [path]
        )
        for file in files:
            if file.is_file():
                digest.update(str(file.relative_to(REPOSITORY)).encode())
                digest.update(_meaning(file))
    return digest.hexdigest()[:20]


@functools.cache
def _meaning(file: Path) -> bytes:
    """A file's content; of Python what it does, without comments, docstrings and layout."""
    if file.suffix != ".py":
        return file.read_bytes()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [part for part in node.body if not _is_words(part)]
    return ast.dump(tree).encode()


def _is_words(part: ast.stmt) -> bool:
    return isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)


def to_rows(results: Mapping[str, Result]) -> list[dict[str, object]]:
    """Results by their keys, as the repository keeps them."""
    return [
        {name: _rounded(name, value) for name, value in asdict(result).items() if name != "wall"} | {"key": key}
        for key, result in results.items()
    ]


def _rounded(name: str, value: object) -> object:
    return round(value, 7) if isinstance(value, float) and name != "knob" else value


def from_rows(rows: Iterable[Mapping[str, Any]]) -> dict[str, Result]:
    """The other way round."""
    return {row["key"]: Result(**{name: value for name, value in row.items() if name != "key"}) for row in rows}


class Shelf:
    """Results on disk, so that a run that was broken off goes on where it was."""

    def __init__(self, folder: Path | None = None, *, pages: Path | None = None) -> None:
        """The folder that survives from run to run unless another is named, and that of pages, if theirs count too."""
        self._folder = folder or cache_folder() / "bench"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._kept: dict[str, Result] = {}
        for file in sorted(pages.glob("*.json")) if pages else ():
            if isinstance(rows := json.loads(file.read_text()), list):
                self._kept |= from_rows(rows)

    def get(self, key: str) -> Result | None:
        """What was kept under a key."""
        path = self._folder / f"{key}.json"
        return Result(**json.loads(path.read_text())) if path.exists() else self._kept.get(key)

    def put(self, key: str, result: Result) -> None:
        """Keep a result; a half-written one is never seen."""
        path = self._folder / f"{key}.json"
        half = path.with_suffix(".tmp")
        half.write_text(json.dumps(asdict(result)))
        half.replace(path)
