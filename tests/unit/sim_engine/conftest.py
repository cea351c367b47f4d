"""One engine for the tests that leave no trace in it."""

from collections.abc import Iterator

import pytest

from tests.unit.sim_engine.server import Server, running


@pytest.fixture(scope="session")
def engine() -> Iterator[Server]:
    """A fast H200 with a length of 2,048, under two names; it stops by itself after about eight tokens."""
    env = {"SIM_TIME_SCALE": "10", "SIM_OUTPUT_TOKENS": "8"}
    with running("--max-model-len=2048", "--served-model-name", "tiny", "small", env=env) as server:
        yield server
