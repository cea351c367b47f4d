"""Options of every tier."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the stories run on a cluster that is there already."""
    parser.addoption("--context", metavar="NAME", help="a context of your kubeconfig instead of a cluster of our own")
