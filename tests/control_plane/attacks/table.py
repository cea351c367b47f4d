"""The table in SECURITY.md, made of the rows that the tests try. `make generate` runs this file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.control_plane.attacks import ATTACKS, DEEDS
from tests.control_plane.attacks.row import Attack

ROOT = Path(__file__).parents[3]
FILE = ROOT / "SECURITY.md"
BEGIN, END = "<!-- attacks: begin (made by `make generate`) -->", "<!-- attacks: end -->"


@dataclass(frozen=True)
class Elsewhere:
    """A row that another test tries."""

    who: str
    what: str
    end: str
    test: str
    """File and function."""


ENGINE = "An engine's pod"
SCRAPE = "tests/unit/scaling/test_scrape.py"
METRICS = "tests/unit/engine/test_metrics.py"
PROXY = "tests/unit/activator/test_proxy.py"
ANYBODY = "Anybody in the cluster"

ELSEWHERE = (
    Elsewhere(
        ENGINE,
        "answers a scrape with a redirect, 100 MB, a compressed bomb",
        "not followed, given up at 1 MiB, not unpacked: no figures, so no replica is taken away",
        f"{SCRAPE}::test_bad_answers",
    ),
    Elsewhere(
        ENGINE,
        "answers never, or byte by byte",
        "given up after 2 s; pods known to be slow hold up no others",
        f"{SCRAPE}::test_slow_answers",
    ),
    Elsewhere(
        ENGINE, "breaks the protocol", "no figures; the connection is closed", f"{SCRAPE}::test_broken_protocols"
    ),
    Elsewhere(
        ENGINE,
        "claims 1e9 requests, NaN, negative counts",
        "clamped, or unknown; replicas stay within maxReplicas",
        f"{METRICS}::test_hostile_counts_are_clamped",
    ),
    Elsewhere(
        ENGINE, "sends endless series", "the page is refused", f"{METRICS}::test_a_page_of_endless_series_is_refused"
    ),
    Elsewhere(
        ENGINE,
        "claims to hang again and again, so that pods are replaced",
        "one at a time, at most 3 an hour, over restarts of the operator too",
        "tests/unit/scaling/test_hangs.py::test_why_nobody_is_replaced",
    ),
    Elsewhere(
        ANYBODY,
        "goes round `access.networkPolicy` by the activator's port",
        "the object is woken, and nothing is passed on",
        f"{PROXY}::test_where_a_policy_says_who_may_connect_nothing_is_passed_on",
    ),
    Elsewhere(
        ANYBODY,
        "wakes objects by wrong names, unknown paths, broken bodies, or without a key",
        "answered at once, nothing is woken",
        f"{PROXY}::test_what_no_engine_would_take_wakes_none",
    ),
    Elsewhere(
        ANYBODY,
        "sends an activator another server's URL in the request line",
        "where a request goes is said by the object's pods alone",
        f"{PROXY}::test_a_url_in_the_request_line_leads_nowhere_else",
    ),
    Elsewhere(
        ANYBODY,
        "sends an activator two lengths, endless headers, broken chunks, no HTTP",
        "400, and the connection ends; there is one request a connection",
        f"{PROXY}::test_what_is_no_http_is_refused",
    ),
    Elsewhere(
        ANYBODY,
        "sends an activator head or body byte by byte",
        "cut off after 10 s and 30 s; the place is free again",
        f"{PROXY}::test_who_sends_no_head_or_no_body_in_time_is_cut_off",
    ),
    Elsewhere(
        ANYBODY,
        "fills an activator with requests, or with large bodies",
        "503 beyond the places of that object and of all, 413 beyond 8 MiB, 503 beyond 128 MiB together",
        f"{PROXY}::test_bodies_have_limits",
    ),
    Elsewhere(
        "Mallory",
        "stores an object before a rule exists that would refuse it",
        "NotReadable, or judged again by the operator's own checks; what ran before still runs",
        "tests/control_plane/test_operator.py::test_a_stored_object_that_became_invalid_harms_no_other",
    ),
    Elsewhere(
        "Eve",
        "replaces a pod that the operator is about to delete",
        "the deletion carries uid and version, and is refused",
        "tests/control_plane/test_apply.py::test_a_pod_is_deleted_only_as_it_was_seen_and_gets_the_grace_that_is_given",
    ),
)
"""What is tried in tests of its own."""


def rows() -> Iterator[tuple[str, str, str]]:
    """Who, what, and how it ends."""
    yield from (("Mallory", attack.what, _end(attack)) for attack in ATTACKS)
    yield from ((deed.who, deed.what, deed.end) for deed in DEEDS)
    yield from ((row.who, row.what, f"{row.end} (`{row.test.rpartition('::')[2]}`)") for row in ELSEWHERE)


def _end(attack: Attack) -> str:
    if attack.refused:
        return f"refused by the API server: `{attack.refused}`"
    if attack.reason:
        return f"no pod; SpecValid is False, {attack.reason}: `{attack.words}`"
    return f"harmless: {attack.harmless}"


def text(current: str) -> str:
    """SECURITY.md with the table written anew."""
    cells = [(str(number), *row) for number, row in enumerate(rows(), 1)]
    lines = [
        "| | who | tries | and |",
        "|---:|---|---|---|",
        *("| " + " | ".join(_cell(c) for c in row) + " |" for row in cells),
    ]
    before, _, rest = current.partition(BEGIN)
    return before + BEGIN + "\n\n" + "\n".join(lines) + "\n\n" + END + rest.partition(END)[2]


def _cell(content: str) -> str:
    return content.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    FILE.write_text(text(FILE.read_text()))
