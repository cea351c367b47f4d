"""What the operator and the activators tell each other: whose port is which, who listens, and who is asked for.

The operator writes the ports into a ConfigMap, which the activators watch. An activator answers at STATE_PATH of its
own pages, and writes nothing anywhere.
"""

from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

STATE_PATH = "/state"


class State(BaseModel):
    """What an activator says of itself."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    listening: dict[int, str] = {}
    """Port -> uid of the object."""
    waiting: frozenset[str] = frozenset()
    """uids of objects for which requests wait."""


class Entry(NamedTuple):
    """Whose port it is."""

    namespace: str
    name: str
    uid: str


def parse(data: dict[str, str] | None) -> dict[int, Entry]:
    """The ports as they are stored; what is no entry is left out."""
    book = {}
    for port, owner in (data or {}).items():
        parts = owner.split("/")
        if port.isdigit() and len(parts) == len(Entry._fields) and all(parts):
            book[int(port)] = Entry(*parts)
    return book


def dump(book: dict[int, Entry]) -> dict[str, str]:
    """The ports as they are stored."""
    return {str(port): "/".join(entry) for port, entry in sorted(book.items())}
