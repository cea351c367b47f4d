"""What can go wrong in a pass, as three kinds; everything else that is raised is a bug.

    ReconcileError
    ├── TransientError     try again later, with growing delay
    │   ├── ConflictError  the object changed, or is not the one that was meant
    │   ├── GoneError      there is no such object
    │   ├── VersionGoneError  a watch cannot go on from this version: list anew
    │   ├── DeniedError    the operator lacks a right; somebody may grant it
    │   └── NotLeaderError this process may not write (any more)
    └── InvalidError       trying again is useless until the object changes

A bug (any other exception) is logged with its traceback, counted, backed off, and never stops other objects.
"""

from llmfleet.api.conditions import Reason


class ReconcileError(Exception):
    """A pass that did not reach its end, for a known cause."""


class TransientError(ReconcileError):
    """Worth another try.

    Attributes:
        retry_after: seconds that the API server asked to wait, or None.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def is_worth_telling(self) -> bool:
        """Whether the object's status should speak of it: not if it passes by itself, or if writing is the problem."""
        return self.retry_after is None


class ConflictError(TransientError):
    """HTTP 409: somebody else was faster, or the uid is another one."""

    is_worth_telling = False


class GoneError(TransientError):
    """HTTP 404."""


class VersionGoneError(TransientError):
    """HTTP 410: the API server does not remember what happened since."""


class DeniedError(TransientError):
    """HTTP 403 by access control (a quota is `InvalidError`)."""


class NotLeaderError(TransientError):
    """A write without the Lease."""

    is_worth_telling = False


class InvalidError(ReconcileError):
    """The spec cannot be applied; the reason and the sentence go into SpecValid."""

    def __init__(self, message: str, *, reason: Reason = Reason.REFUSED_BY_CLUSTER) -> None:
        super().__init__(message)
        self.reason = reason
