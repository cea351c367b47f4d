"""Write llmfleet/engine/vllm_flags.json: which flags `vllm serve` has in which release. Run when vLLM releases.

    python operator/flag_history.py 0.32.0=SOURCES/0.32.0 0.33.0=SOURCES/0.33.0 ...

Each folder holds the unpacked source distribution of one release. Nothing of vLLM is imported: the flags are read off
the calls of `add_argument` and the fields of the class of the front end's arguments. What the table has of releases
that are not given is kept.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

TABLE = Path(__file__).parent / "llmfleet" / "engine" / "vllm_flags.json"
SOURCES = (
    "engine/arg_utils.py",
    "entrypoints/openai/cli_args.py",
    "entrypoints/launchers/cli_args.py",
    "entrypoints/common/cli_args.py",
    "entrypoints/openai/api_server.py",
    "entrypoints/cli/serve.py",
)
"""Below `vllm/`; each release has some of them."""


def main(arguments: list[str]) -> None:
    """Read the releases and merge them into the table."""
    known = table() if TABLE.exists() else {}
    for argument in arguments:
        version, _, folder = argument.partition("=")
        known[version] = set(flags(Path(folder) / "vllm"))
        if not known[version]:
            sys.exit(f"{folder} holds no sources of vLLM")
    releases = sorted(known, key=lambda version: [int(part) for part in version.split(".")])
    spans = {flag: _span(flag, releases, known) for flag in sorted(set().union(*known.values()))}
    lines = ",\n".join(f"  {json.dumps(flag)}: {json.dumps(span)}" for flag, span in spans.items())
    TABLE.write_text(f'{{\n"releases": {json.dumps(releases)},\n"flags": {{\n{lines}\n}}\n}}\n')


def table() -> dict[str, set[str]]:
    """Release -> its flags, as the file has them."""
    stored = json.loads(TABLE.read_text())
    releases = stored["releases"]
    found: dict[str, set[str]] = {release: set() for release in releases}
    for flag, (first, gone) in stored["flags"].items():
        end = releases.index(gone) if gone else len(releases)
        for release in releases[releases.index(first) : end]:
            found[release].add(flag)
    return found


def _span(flag: str, releases: list[str], known: dict[str, set[str]]) -> tuple[str, str | None]:
    """The first release that has a flag, and the first that has it no more."""
    having = [index for index, release in enumerate(releases) if flag in known[release]]
    if having != list(range(having[0], having[-1] + 1)):
        print(f"{flag} comes and goes: {[releases[index] for index in having]}", file=sys.stderr)  # noqa: T201 - a tool
    gone = having[-1] + 1
    return releases[having[0]], releases[gone] if gone < len(releases) else None


def flags(package: Path) -> Iterator[str]:
    """Every option string of the server's parser, as far as it is written out."""
    for path in (package / name for name in SOURCES):
        tree = ast.parse(path.read_text(encoding="utf-8")) if path.exists() else ast.Module([], [])
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
                yield from (text for text in _texts(node.args) if text.startswith("-"))
            if isinstance(node, ast.ClassDef) and node.name.endswith("FrontendArgs"):
                yield from _fields(node)


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _fields(node: ast.ClassDef) -> Iterator[str]:
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            yield f"--{item.target.id.replace('_', '-')}"


if __name__ == "__main__":
    main(sys.argv[1:])
