"""What a check finds: one thing that is wrong, and how bad it is."""

from dataclasses import dataclass
from enum import StrEnum

from llmfleet.api.conditions import Reason


class Severity(StrEnum):
    """What a problem does."""

    ERROR = "error"
    """The spec is not applied; what ran before still runs."""
    WARNING = "warning"
    """The spec is applied, and the condition says what is risky."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in one sentence that says what to do."""

    reason: Reason
    message: str
    severity: Severity = Severity.ERROR


def warning(message: str) -> Problem:
    """Something that is risky."""
    return Problem(Reason.VALID_WITH_WARNINGS, message, Severity.WARNING)
