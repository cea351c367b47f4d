"""The release comes, changes and goes while engines serve: no engine is touched, and nothing is stuck."""

import json
import time
from collections.abc import Callable

import pytest

from tests.cluster import Node, images, processes
from tests.cluster.cluster import Cluster
from tests.node.stories import operators, site
from tests.node.stories.release import remove_everything, skip_if_shared, streaming
from tests.node.stories.site import NAMESPACE, RELEASE
from tests.node.stories.tenant import Tenant, spec, tenant
from tests.node.stories.watching import is_ready

pytestmark = [pytest.mark.node, pytest.mark.alone, pytest.mark.usefixtures("release")]

ASK = """
import sys, urllib.request
sys.stdin.read()  # ends once kubectl is attached: what is said before that, it does not show
request = urllib.request.Request(
    sys.argv[1] + "/chat/completions",
    b'{"model": "qwen3-8b", "messages": [{"role": "user", "content": "Why is the sky blue?"}], "max_tokens": 8}',
    {"Content-Type": "application/json"},
)
print(urllib.request.urlopen(request, timeout=5).read().decode())
"""


def test_first_answer(cluster: Cluster, record_property: Callable[[str, str], None]) -> None:
    """Three commands, and one that waits, lead from a cluster without llmfleet to an answer by the Service's name."""
    skip_if_shared(cluster)
    remove_everything(cluster)
    values = site.values_file(cluster, {"settings": {"engine": {"extraEnv": {"SIM_STARTUP_SECONDS": "0"}}}})
    with tenant(cluster, "first-answer", profile="baseline") as team:
        here = ("--namespace", team.namespace)
        url = f"http://qwen3-8b.{team.namespace}.svc:8000/v1"
        ask = ("run", "ask", "--rm", "-i", "--restart=Never", "--quiet", f"--image={images.SIM_ENGINE}", *here)
        began = time.monotonic()
        cluster.helm(
            *("install", RELEASE, str(site.CHART), "--namespace", NAMESPACE, "--create-namespace", "--wait"),
            *("--values", str(values)),
        )
        installed = time.monotonic()
        cluster.kubectl("apply", "--filename", str(site.CHART / "examples" / "llmdeployment.yaml"), *here)
        cluster.kubectl("wait", "llm/qwen3-8b", "--for=condition=Available", "--timeout=240s", *here, timeout=240)
        answer = cluster.kubectl(*ask, "--command", "--", "python3", "-c", ASK, url, stdin="", timeout=240)
        ended = time.monotonic()
        ready = next(
            event.at for event in team.watch.history if event.name.startswith("qwen3") and is_ready(event.body)
        )
    assert '"role":"assistant"' in answer.replace(" ", "")
    steps = f"helm install --wait {installed - began:.1f} s, engine ready {ready - installed:.1f} s later"
    figure = f"{ended - began:.1f} s ({steps})"
    record_property("from helm install to the first answer, three commands", figure)


def test_upgrade_and_rollback(cluster: Cluster, team: Tenant) -> None:
    """Other values and another image, and back: other operator pods lead each time, and the same engines serve on."""
    if isinstance(cluster, Node):
        cluster.tag_image(images.OPERATOR, images.NEXT_OPERATOR)
    team.apply("calm", spec(replicas=2))
    team.until_settled("calm", replicas=2)
    before, engines = team.object("calm")["metadata"]["generation"], team.engines("calm")
    client = streaming(team, "calm")
    changes = {
        "logFormat": "json",
        "settings": {"scaling": {"scrapePeriodSeconds": 2}},
        "image": site.image(images.NEXT_OPERATOR),
    }
    history = json.loads(cluster.helm("history", RELEASE, "--namespace", NAMESPACE, "--max=1", "--output=json"))
    revision = str(history[0]["revision"])
    steps = (
        lambda: site.install(cluster, verb="upgrade", extra=changes),
        lambda: cluster.helm("rollback", RELEASE, revision, "--namespace", NAMESPACE, "--wait", "--timeout=120s"),
    )
    for step in steps:
        old = operators.pods(cluster)
        step()
        operators.until_led_by_others(cluster, old)
        team.watch.during(3, lambda: team.engines("calm") != engines, "engines changed with the operator")
    assert client.stop()["errors"] == []
    assert team.object("calm")["metadata"]["generation"] == before
    team.scale("calm", 1)
    team.until_settled("calm", replicas=1)
    assert len(team.replica_sets("calm")) == 1


def test_uninstall_with_objects(cluster: Cluster, team: Tenant) -> None:
    """Objects stay, engines serve, and both can be deleted with their namespace; a new install touches no engine."""
    with tenant(cluster, "doomed") as doomed:
        for owner, name in ((team, "kept"), (team, "dropped"), (doomed, "lost")):
            owner.apply(name, spec(drain={"timeoutSeconds": 5}))
        for owner, name in ((team, "kept"), (team, "dropped"), (doomed, "lost")):
            owner.until_settled(name, replicas=1)
        engines = team.engines("kept")
        client, old = streaming(team, "kept"), operators.pods(cluster)
        site.uninstall(cluster)
        processes.wait_until("the operator is gone", lambda: not operators.pods(cluster), timeout=60, every=0.5)
        assert cluster.find("crd", site.CRD)
        team.kubectl("delete", "llm", "dropped", "--timeout=60s")
        cluster.kubectl("delete", "namespace", doomed.namespace, "--wait=false")
        gone = ("Deployment", "ReplicaSet", "Service", "PodDisruptionBudget", "LLMDeployment")
        team.watch.until(
            "its children are gone",
            lambda: not any((kind, "dropped") in team.watch.state for kind in gone) and not team.pods("dropped"),
        )
    site.install(cluster)
    operators.until_led_by_others(cluster, old)
    team.watch.during(3, lambda: team.engines("kept") != engines, "engines changed when it was installed again")
    assert client.stop()["errors"] == []
    team.scale("kept", 2)
    team.until_settled("kept", replicas=2)
    assert len(team.replica_sets("kept")) == 1
    processes.wait_until("the namespace is gone", lambda: cluster.find("namespace", doomed.namespace) is None, every=1)


@pytest.mark.thorough
def test_uninstall_with_the_definition(cluster: Cluster, team: Tenant) -> None:
    """With `crds.keep: false` uninstalling takes the definition, every object and every engine along."""
    skip_if_shared(cluster, team)
    team.apply("taken", spec())
    team.until_settled("taken", replicas=1)
    site.install(cluster, verb="upgrade", extra={"crds": {"keep": False}})
    site.uninstall(cluster)
    processes.wait_until("the definition is gone", lambda: cluster.find("crd", site.CRD) is None, timeout=120)
    mine = ("LLMDeployment", "Deployment", "ReplicaSet", "Pod", "Service", "PodDisruptionBudget")
    team.watch.until("everything is gone", lambda: not any(team.watch.objects(kind) for kind in mine))
    cluster.kubectl("delete", "namespace", team.namespace, "--timeout=120s")
