"""One text of the engine and what it means: the row of every table of failures."""

import re
from dataclasses import dataclass
from enum import StrEnum

from llmfleet.api.conditions import Reason

VALUE_LENGTH = 120
"""Longest value that is taken over from a text."""


class Kind(StrEnum):
    """What makes a failure go away."""

    TRANSIENT = "transient"
    """Waiting: memory that another pod still holds, a hub that is down. So do failures whose cause is not known."""
    PERMANENT = "permanent"
    """A change of the spec or of the model."""
    ENVIRONMENT = "environment"
    """The administrator, or another node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a start failed."""

    reason: Reason
    sentence: str
    """What happened, with the numbers of the text."""
    remedy: str
    """What to do, with the field of the spec to change."""
    kind: Kind
    blames_spec: bool = False
    """This spec can never work on this profile, so SpecValid is False."""

    @property
    def words(self) -> str:
        """Sentence and remedy."""
        return f"{self.sentence} {self.remedy}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A text, and what it means.

    Patterns must be linear: every repetition is bounded or of a class that excludes what follows it.
    """

    pattern: re.Pattern[str]
    reason: Reason
    sentence: str
    """`{name}` stands for a named group of the pattern."""
    remedy: str
    kind: Kind = Kind.PERMANENT
    blames_spec: bool = False

    def last(self, text: str) -> re.Match[str] | None:
        """The last place in the text where it matches."""
        found = None
        for found in self.pattern.finditer(text):  # noqa: B007 - the last one is wanted
            pass
        return found

    def failure(self, found: re.Match[str]) -> Failure:
        """The failure, with what the text names."""
        values = {name: (value or "")[:VALUE_LENGTH].rstrip(" .") for name, value in found.groupdict().items()}
        return Failure(
            reason=self.reason,
            sentence=self.sentence.format_map(values),
            remedy=self.remedy.format_map(values),
            kind=self.kind,
            blames_spec=self.blames_spec,
        )


def rule(
    pattern: str,
    reason: Reason,
    sentence: str,
    remedy: str,
    *,
    kind: Kind = Kind.PERMANENT,
    blames_spec: bool = False,
) -> Rule:
    """A row of a table."""
    return Rule(
        pattern=re.compile(pattern),
        reason=reason,
        sentence=sentence,
        remedy=remedy,
        kind=kind,
        blames_spec=blames_spec,
    )
