"""How many requests and bytes are held: for one object, and for all together. Pure."""

from collections import Counter
from dataclasses import dataclass, field

from llmfleet.activator.answers import Refusal, Refused
from llmfleet.activator.targets import Target
from llmfleet.api.settings import ActivatorSettings

MIB = 1 << 20


@dataclass
class Bounds:
    """The account of what is held."""

    limits: ActivatorSettings
    held: Counter[str] = field(default_factory=Counter)
    """Requests by the object's uid."""
    held_bytes: int = 0

    def enter(self, target: Target, *, retry_after: int) -> None:
        """Take a place.

        Raises:
            Refused: there is none.
        """
        if self.held[target.uid] >= self.limits.requests_per_object or self.held.total() >= self.limits.requests:
            words = f"{self.held[target.uid]} requests wait for {target.name} already, which is at zero or starts."
            raise Refused(Refusal.FULL, words, retry_after=retry_after)
        self.held[target.uid] += 1

    def leave(self, target: Target) -> None:
        """Give the place back."""
        self.held[target.uid] -= 1
        if not self.held[target.uid]:
            del self.held[target.uid]

    def fits(self, size: int) -> None:
        """Judge the size of a body.

        Raises:
            Refused: it is too large.
        """
        if size > self.limits.body_mib * MIB:
            raise Refused(Refusal.TOO_LARGE, f"The body is larger than {self.limits.body_mib:g} MiB.")

    def has_room(self, more: int) -> bool:
        """Whether so many more bytes may be held."""
        return self.held_bytes + more <= self.limits.held_mib * MIB


@dataclass
class Room:
    """The body of one request."""

    bounds: Bounds
    retry_after: int
    chunks: list[bytes] = field(default_factory=list)
    _taken: int = 0

    def expect(self, size: int) -> None:
        """Look at the size that a request states, before any of it is read.

        Raises:
            Refused: it is too much.
        """
        self.bounds.fits(size)
        self._need(size)

    def take(self, chunk: bytes) -> None:
        """Keep a part of the body.

        Raises:
            Refused: the body is too large, or all bodies together are.
        """
        self.bounds.fits(self._taken + len(chunk))
        self._need(len(chunk))
        self.bounds.held_bytes += len(chunk)
        self._taken += len(chunk)
        self.chunks.append(chunk)

    def clear(self) -> None:
        """Give the room back."""
        self.bounds.held_bytes -= self._taken
        self._taken = 0
        self.chunks.clear()

    def _need(self, more: int) -> None:
        if not self.bounds.has_room(more):
            words = "The requests that wait take all the memory that there is for them."
            raise Refused(Refusal.MEMORY, words, retry_after=self.retry_after)
