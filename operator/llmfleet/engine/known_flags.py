"""Which flags `vllm serve` has in which release, 0.9.0 to 0.33.0: extra arguments are judged before a pod is started.

The table `vllm_flags.json` is made by `operator/flag_history.py` from vLLM's sources: flag -> the first release that
has it, and the first that has it no more. A flag is called unknown only where it is certain: abbreviations, `--no-x`
and JSON keys count as their flag, and a release newer than the table may have flags that the table has not.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from llmfleet.engine.arguments import canonical
from llmfleet.engine.version import Version, parse

INSTEAD: Mapping[str, str] = {
    "--swap-space": "use --kv-offloading-size, or leave it out",
    "--rope-scaling": "use --hf-overrides",
    "--rope-theta": "use --hf-overrides",
    "--task": "use --runner and --convert",
    "--cuda-graph-sizes": "use --cudagraph-capture-sizes",
    "--guided-decoding-backend": "use --structured-outputs-config",
    "--disable-log-requests": "requests are logged only with --enable-log-requests: leave it out",
    "--num-redundant-experts": "use --eplb-config",
    "--override-pooler-config": "use --pooler-config",
    "--use-v2-block-manager": "leave it out",
    "--num-lookahead-slots": "leave it out",
}
"""Removed flag -> what to do instead (vLLM's own release notes and deprecation texts)."""
_NUMBER = re.compile(r"-\d")
_SHORT = len("-O")


class Span(NamedTuple):
    """The releases that have a flag."""

    first: Version
    gone: Version | None
    """The first release without it; None if the newest has it."""


class History(NamedTuple):
    """The table."""

    releases: Sequence[Version]
    """Those that were read, in their order."""
    spans: Mapping[str, Span]

    def neighbours(self, version: Version) -> tuple[Version, ...]:
        """The releases whose flags a version may have: for a minor that was not read, those before and after it."""
        before = max(release for release in self.releases if release <= version)
        after = min((release for release in self.releases if release >= version), default=before)
        return (before,) if before[:2] == version[:2] else (before, after)


@cache
def history() -> History:
    """The table; read once, when an object has extra arguments."""
    stored = json.loads(files(__package__).joinpath("vllm_flags.json").read_text(encoding="utf-8"))
    releases = [_version(release) for release in stored["releases"]]
    spans = {
        flag: Span(_version(first), _version(gone) if gone else None) for flag, (first, gone) in stored["flags"].items()
    }
    return History(releases, spans)


def unknown(arguments: Sequence[str], version: Version) -> Iterator[str]:
    """Half a sentence for each argument that this version does not know, in their order.

    Args:
        arguments: as in engine.extraArgs.
        version: of the vLLM that will run; older than the table: nothing is said.
    """
    if version < history().releases[0]:
        return
    for argument in arguments:
        flag = canonical(argument.partition("=")[0])
        if not flag.startswith("-") or _NUMBER.match(flag) or any(character.isspace() for character in flag):
            continue
        if words := _judged(flag, version):
            yield words


def _judged(flag: str, version: Version) -> str | None:
    spans = [span for name, span in history().spans.items() if _means(flag, name)]
    if any(_has(span, release) for span in spans for release in history().neighbours(version)):
        return None
    if version > history().releases[-1] and not spans:
        return None
    if gone := [span.gone for span in spans if span.gone and span.gone <= version]:
        return f"{flag} is gone since vLLM {max(gone)}" + (f" ({INSTEAD[flag]})" if flag in INSTEAD else "")
    if spans:
        return f"{flag} needs vLLM {min(span.first for span in spans)} or newer"
    close = get_close_matches(flag, history().spans, n=1, cutoff=0.8)
    return f"vLLM has no flag {flag}" + (f" (did you mean {close[0]}?)" if close else "")


def _means(flag: str, name: str) -> bool:
    """Whether vLLM's parser may take one for the other: abbreviated, negated, or with its value behind one letter."""
    if flag in ("-", "--") or flag.startswith("-O"):  # the parser reads -O3 before it looks at any flag
        return True
    if not flag.startswith("--"):
        return name.startswith(flag) or (len(name) == _SHORT and flag.startswith(name))
    opposites = (f"--no-{name[2:]}", name.replace("--enable-", "--disable-", 1))
    return name.startswith("--") and any(written.startswith(flag) for written in (name, *opposites))


def _has(span: Span, release: Version) -> bool:
    return span.first <= release and (span.gone is None or release < span.gone)


def _version(text: str) -> Version:
    found = parse(text)
    if found is None:
        raise ValueError(text)
    return found
