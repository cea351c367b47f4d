"""Whose port is which: the same for an object's life, over restarts, and nobody's twice."""

from typing import Any

import pytest

from llmfleet.api.activation import Entry
from llmfleet.controller.ports import PortBook

A, B = Entry("team", "a", "uid-a"), Entry("team", "b", "uid-b")


class Store:
    """Of the cluster, what the book uses."""

    def __init__(self, data: dict[str, str] | None = None) -> None:
        self.data = data

    async def get(self, *_: Any) -> dict[str, Any]:
        return {"data": self.data} if self.data is not None else {}


async def book(data: dict[str, str] | None = None, *, count: int = 3) -> PortBook:
    found = PortBook(Store(data), "llmfleet", "ports", first=20000, count=count)  # type: ignore[arg-type]
    await found.load()
    return found


async def test_each_object_has_its_own_and_keeps_it() -> None:
    here = await book()
    assert [here.port_of(A), here.port_of(B), here.port_of(A)] == [20000, 20001, 20000]
    assert here.manifest()["data"] == {"20000": "team/a/uid-a", "20001": "team/b/uid-b"}


async def test_it_is_the_same_after_a_restart() -> None:
    here = await book({"20002": "team/a/uid-a"})
    assert [here.port_of(B), here.port_of(A)] == [20000, 20002]


async def test_another_object_of_the_same_name_is_another() -> None:
    """The earlier one's port is free, and may be given out again: activators say for whom they listen."""
    here = await book({"20000": "team/a/uid-of-an-earlier-one"})
    here.port_of(A)
    assert list(here.entries.values()) == [A]


async def test_a_port_that_is_given_back_can_be_had() -> None:
    here = await book(count=1)
    assert [here.port_of(A), here.port_of(B)] == [20000, None]
    here.drop(A[:2])
    assert here.port_of(B) == 20000
    here.retain([])
    assert here.entries == {}


async def test_nothing_is_given_out_before_the_book_is_read() -> None:
    unread = PortBook(Store(), "llmfleet", "ports", first=20000, count=3)  # type: ignore[arg-type]
    assert unread.port_of(A) is None


@pytest.mark.parametrize(
    "data",
    [
        {"x": "team/a/uid"},
        {"20000": "team/a"},
        {"20000": "team//uid"},
        {"20000": ""},
        {"80": "team/a/uid"},
        {"20000": "a/b/c/d"},
        None,
    ],
)
async def test_what_is_no_entry_or_out_of_range_is_left_out(data: dict[str, str] | None) -> None:
    assert (await book(data)).entries == {}
