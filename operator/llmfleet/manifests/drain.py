"""The end of a pod: how long each step may take, so that no running request is cut.

When a pod is to go, the kubelet runs the preStop hook and only then sends SIGTERM, while the pod is taken out of the
Service's endpoints. Three facts decide the numbers:

* Proxies learn of the withdrawn endpoint with a delay of seconds, and from SIGTERM on vLLM serves no new request while
  its socket stays open (seen on 0.32.0: HTTP 500; an empty answer for a prompt of token ids; none once the engine
  is being torn down). So SIGTERM must wait: `WITHDRAWAL_SECONDS`.
* From SIGTERM on, `--shutdown-timeout N` lets the running requests go on for N seconds at most; vLLM exits as soon as
  they are done (seen on 0.32.0: eight streams complete, exit after 7.8 s of 60). N is `drain.timeoutSeconds`.
* The kubelet kills what is left after terminationGracePeriodSeconds, counted from the start of preStop. The last
  `EXIT_SECONDS` are for the worker processes to end after the drain (seen on 0.32.0: 5 to 8 s).

    grace = WITHDRAWAL_SECONDS + drain.timeoutSeconds + EXIT_SECONDS

Before vLLM 0.28.0 the shutdown timeout is missing or can be overridden (`engine.flags.SHUTDOWN_TIMEOUT_WORKS`): SIGTERM
then cuts every stream at once. There the preStop hook itself waits for the whole drain; new requests no longer come,
the running ones go on. The grace period stays the same. The price is that such a pod always takes the whole time, idle
or not, with its GPUs; `engine.checks` says so.

The hook is the kubelet's own `sleep` (on by default since Kubernetes 1.30), which needs no shell in the image.
"""

from dataclasses import dataclass
from typing import Any

from llmfleet.api.v1alpha1 import LLMDeploymentSpec
from llmfleet.engine.flags import SHUTDOWN_TIMEOUT_WORKS
from llmfleet.engine.version import Version

WITHDRAWAL_SECONDS = 10
"""From the start of preStop until every proxy has dropped the endpoint. kube-proxy needs 1 to 5 s; gateways more."""
EXIT_SECONDS = 15
"""From the last answer to the end of the process."""


@dataclass(frozen=True)
class Drain:
    """Seconds of each step."""

    pre_stop: int
    grace: int

    @property
    def lifecycle(self) -> dict[str, Any]:
        """The container's hooks."""
        return {"preStop": {"sleep": {"seconds": self.pre_stop}}}


def drain(spec: LLMDeploymentSpec, version: Version) -> Drain:
    """The steps for this spec on this vLLM."""
    requests = spec.drain.timeout_seconds
    waits_itself = version >= SHUTDOWN_TIMEOUT_WORKS
    return Drain(
        pre_stop=WITHDRAWAL_SECONDS + (0 if waits_itself else requests),
        grace=WITHDRAWAL_SECONDS + requests + EXIT_SECONDS,
    )
