"""Options of every tier."""

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # the machine may be busy: time is measured in benchmarks alone
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stories run on a cluster that is there already, and expected files be written anew."""
    parser.addoption("--context", metavar="NAME", help="a context of your kubeconfig instead of a cluster of our own")
    parser.addoption("--update-golden", action="store_true", help="write the expected files anew; read the difference")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written instead of compared."""
    return bool(request.config.getoption("--update-golden"))
