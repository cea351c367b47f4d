"""What the stories share in which the release itself changes."""

from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.node.stories import operators, site
from tests.node.stories.tenant import Client, Tenant, steady


def remove_everything(cluster: Cluster) -> None:
    """Uninstall, and remove what uninstalling keeps: the definition, and the Lease, which ends by itself only."""
    site.uninstall(cluster)
    cluster.kubectl("delete", "lease", operators.LEASE, "--namespace", site.NAMESPACE, "--ignore-not-found")
    cluster.kubectl("delete", "crd", site.CRD, "--ignore-not-found", "--timeout=120s")


def skip_if_shared(cluster: Cluster, *mine: Tenant) -> None:
    """Removing the definition removes every LLMDeployment, so there may be none but these and such as are going."""
    going = {space["metadata"]["name"] for space in cluster.select("namespaces") if _is_going(space)}
    owners = {item["metadata"]["namespace"] for item in cluster.select("llm", namespace="")}
    if others := owners - going - {team.namespace for team in mine}:
        pytest.skip(f"removes every LLMDeployment, and there are some in {', '.join(sorted(others))}")


def _is_going(item: dict[str, Any]) -> bool:
    return "deletionTimestamp" in item["metadata"]


def streaming(team: Tenant, name: str) -> Client:
    """Four requests a second, of which each takes about a second, until the client is stopped."""
    requests = steady(name, count=4, per_second=4, output_tokens=64)
    client = Client(team, "client", urls=team.urls(name), requests=requests, lap_s=1)
    client.until_started()
    return client
