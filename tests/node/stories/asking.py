"""A pod from which a story asks an object's Service, many times at once if need be, and what came of each request."""

import concurrent.futures
import json
from pathlib import Path
from typing import Any, NamedTuple

from tests.cluster import images
from tests.node.stories import asking_client
from tests.node.stories.tenant import Tenant
from tests.node.stories.watching import is_ready

CHAT = "/v1/chat/completions"
POD = "asking"


class Outcome(NamedTuple):
    """What came of one request."""

    status: int
    """0: no answer."""
    retry_after: str
    began: float
    """Unix time; so is the other one."""
    ended: float
    text: str
    """Of the answer, or what went wrong."""


class Asking:
    """The pod. Requests go on while the story does something else."""

    def __init__(self, team: Tenant) -> None:
        self.team = team
        container = {
            "name": POD,
            "image": images.SIM_ENGINE,
            "command": ["python3", "-c", "import time; time.sleep(86400)"],
            "resources": {"requests": {"cpu": "100m"}},  # without a share it stands still where others are busy
            "volumeMounts": [{"name": "files", "mountPath": "/client"}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        meta = {"name": POD, "namespace": team.namespace}
        pod = {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "runAsUser": 2000, "seccompProfile": {"type": "RuntimeDefault"}},
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
            "volumes": [{"name": "files", "configMap": {"name": POD}}],
        }
        files = {"client.py": Path(asking_client.__file__).read_text()}
        team.cluster.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": files},
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod},
        )
        team.watch.until("the asking pod runs", lambda: is_ready(team.watch.state.get(("Pod", POD), {})))
        self._pool = concurrent.futures.ThreadPoolExecutor()

    def start(
        self,
        name: str,
        *,
        count: int = 1,
        every: float = 0.0,
        path: str = CHAT,
        body: dict[str, Any] | None = None,
        key: str = "",
        tries: int = 1,
    ) -> "concurrent.futures.Future[list[Outcome]]":
        """Send requests, all at once or one after the other.

        Args:
            name: of the object.
            count: how many.
            every: seconds between the beginnings of two.
            path: of the URL.
            body: of each; a short one for the object's own model if it is left out.
            key: sent as a bearer token.
            tries: how often a request that is not answered is sent.
        """
        wanted = body or {"model": name, "max_tokens": 4, "messages": [{"role": "user", "content": "hello"}]}
        plan = {"host": f"{name}.{self.team.namespace}.svc", "count": count, "every": every, "path": path}
        plan |= {"body": wanted, "key": key, "tries": tries}
        return self._pool.submit(self._run, json.dumps(plan))

    def ask(self, name: str, **options: Any) -> Outcome:
        """One request and its answer."""
        return self.start(name, **options).result()[0]

    def _run(self, plan: str) -> list[Outcome]:
        said = self.team.kubectl("exec", POD, "--", "python3", "/client/client.py", plan)
        return [Outcome(*one) for one in json.loads(said)]
