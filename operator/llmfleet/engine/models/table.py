"""The table of well-known open models: name at the hub -> architecture, for plans without a config.json at hand.

`models.json` holds, for each model, the keys of its config.json that `architecture.read` looks at, and its number of
parameters as published (safetensors metadata of the hub, or the model card), without layers for multi-token prediction,
which vLLM does not load by default. These are facts of the checkpoints; no text is copied. An entry stays only if the
number that follows from its sizes agrees with the published one within 0.5 % (tests/unit/engine/test_models.py), so
that a wrong size cannot stand. `like` names the entry whose keys are taken where an entry has none of its own, and
`aliases` other names with the same keys.
"""

import difflib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from llmfleet.engine.models.architecture import Architecture, read

_SUGGESTIONS = 3
_SIMILAR = 0.6
"""From which share of equal letters on a name is taken for a typing error."""


def find(name: str) -> Architecture | None:
    """The architecture of a model by its name at the hub, in any case; None if it is not in the table."""
    known = _known().get(name.strip().lower())
    return _read(known) if known else None


def config(name: str) -> dict[str, Any]:
    """The keys of config.json that the entry of this name (no alias) holds."""
    entry = _table()[name]
    base = config(entry["like"]) if "like" in entry else {}
    return {**base, **entry.get("config", {})}


def names() -> tuple[str, ...]:
    """The names of all entries, without aliases, sorted."""
    return tuple(sorted(_table(), key=str.lower))


def published_parameters(name: str) -> int | None:
    """Parameters of a model as its publisher counts them; None if it is not in the table."""
    known = _known().get(name.strip().lower())
    return int(_table()[known]["parameters"]) if known else None


def suggest(name: str) -> tuple[str, ...]:
    """The names most like this one, best first; those that differ only in their organization stand first."""
    wanted = name.strip().lower()
    full = _spelled()
    short = wanted.rpartition("/")[2]
    same = [spelled for lower, spelled in full.items() if lower.rpartition("/")[2] == short]
    close = difflib.get_close_matches(wanted, full, n=_SUGGESTIONS, cutoff=_SIMILAR)
    if "/" not in wanted:
        tails = {lower.rpartition("/")[2]: spelled for lower, spelled in full.items()}
        same += [tails[tail] for tail in difflib.get_close_matches(short, tails, n=_SUGGESTIONS, cutoff=_SIMILAR)]
    return tuple(dict.fromkeys([*same, *(full[lower] for lower in close)]))[:_SUGGESTIONS]


@cache
def _table() -> Mapping[str, Any]:
    text = (files(__package__) / "models.json").read_text(encoding="utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table


@cache
def _known() -> Mapping[str, str]:
    """Every name and alias in lower case -> the name of its entry."""
    aliases = {alias.lower(): name for name, entry in _table().items() for alias in entry.get("aliases", ())}
    return aliases | {name.lower(): name for name in _table()}


@cache
def _spelled() -> Mapping[str, str]:
    """Every name and alias in lower case -> as it is written at the hub."""
    aliases = [alias for entry in _table().values() for alias in entry.get("aliases", ())]
    return {name.lower(): name for name in [*_table(), *aliases]}


@cache
def _read(name: str) -> Architecture:
    return read(config(name))
