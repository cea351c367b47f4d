"""For how long a request is held for its object."""

import pytest

from llmfleet.activator.targets import Target


def target(startup_seconds: int | None) -> Target:
    return Target(
        namespace="team",
        name="qwen",
        uid="1",
        models=("qwen",),
        needs_key=False,
        is_closed=False,
        is_suspended=False,
        startup_seconds=startup_seconds,
    )


@pytest.mark.parametrize(("startup", "held"), [(None, 300.0), (0, 300.0), (180, 300.0), (181, 301.5), (600, 930.0)])
def test_a_request_is_held_for_longer_than_a_start_takes(startup: int | None, held: float) -> None:
    """The limit, or 1.5 times the last start and 30 s more, where that is longer; of an unknown start the limit."""
    assert target(startup).hold_seconds(300.0) == held
