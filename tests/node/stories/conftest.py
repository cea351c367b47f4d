"""One cluster for all stories of a run, also when pytest-xdist spreads them over several processes."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import Node
from tests.cluster.cluster import Cluster
from tests.node.stories import site
from tests.node.stories.tenant import Tenant, tenant

_OPENED = pytest.StashKey[contextlib.ExitStack]()
_CLUSTER = pytest.StashKey[Cluster]()


def _cluster(config: pytest.Config) -> Cluster:
    """The cluster of this process, started at first use."""
    if _CLUSTER not in config.stash:
        stack = config.stash.setdefault(_OPENED, contextlib.ExitStack())
        config.stash[_CLUSTER] = stack.enter_context(site.opened(config.getoption("--context")))
    return config.stash[_CLUSTER]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pytest-xdist: the starting process has the cluster, the others get the way to it."""
    cluster = _cluster(node.config)
    node.workerinput["kubeconfig"] = str(cluster.kubeconfig)
    node.workerinput["folder"] = str(cluster.folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the cluster that this process started."""
    if _OPENED in config.stash:
        config.stash[_OPENED].close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The run fails if the API server refused the operator anything: then the chart's rights do not suffice."""
    cluster = session.config.stash.get(_CLUSTER, None)
    refused = site.refusals(cluster.audit_log.events()) if isinstance(cluster, Node) else []
    if refused:
        print("", *(f"The operator was refused: {line}" for line in refused), sep="\n", file=sys.__stderr__)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest stories begin first, so that the run does not wait for one of them alone at its end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that stories have recorded."""
    for report in terminalreporter.getreports("passed"):
        for name, figure in report.user_properties:
            terminalreporter.write_line(f"{name}: {figure}")


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    given = getattr(request.config, "workerinput", None)
    if given:
        return Cluster(Path(given["kubeconfig"]), Path(given["folder"]))
    return _cluster(request.config)


@pytest.fixture
def release(cluster: Cluster) -> Iterator[None]:
    """The story may do with the release whatever it likes: afterwards it is as it was."""
    yield
    site.install(cluster, verb="upgrade", options=["--install"])


@pytest.fixture
def team(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    """A namespace of the story's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")
    with tenant(cluster, name) as result:
        yield result
