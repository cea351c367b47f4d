"""Options of every tier."""

import pytest
from hypothesis import settings

# The machine may be busy: time is measured in benchmarks alone. Examples are the same in each run, so that what failed
# fails again, and a run that passed says something of the next one; --hypothesis-profile=default searches anew.
settings.register_profile("repeated", deadline=None, derandomize=True)
settings.load_profile("repeated")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stories run on a cluster that is there already, and expected files be written anew."""
    parser.addoption("--context", metavar="NAME", help="a context of your kubeconfig instead of a cluster of our own")
    parser.addoption("--update-golden", action="store_true", help="write the expected files anew; read the difference")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether expected files are to be written instead of compared."""
    return bool(request.config.getoption("--update-golden"))
