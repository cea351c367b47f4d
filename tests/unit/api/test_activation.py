"""What operator and activators tell each other is read as it is written."""

from llmfleet.api.activation import Entry, dump, parse

A, B = Entry("team", "a", "uid-a"), Entry("team", "b", "uid-b")


def test_ports_are_read_as_they_are_written() -> None:
    entries = {20001: B, 20000: A}
    assert parse(dump(entries)) == entries
    assert list(dump(entries)) == ["20000", "20001"]
