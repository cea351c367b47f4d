"""What a simulated fleet shows to whoever decides on its replicas, and what it expects in return. Pure data.

trace -> fleet -> `View` -> rule -> spec.replicas -> fleet. Our own policy and the rules of other autoscalers answer the
same views, so that they differ in nothing but their answers. A rule is a new object for each run and remembers what it
likes; the fleet keeps minReplicas and maxReplicas, whatever the answer.
"""

from dataclasses import dataclass
from typing import Protocol

from llmfleet.engine.metrics import EngineMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PodView:
    """One pod as a controller sees it."""

    name: str
    created_at: float
    """Seconds."""
    ready_at: float | None = None
    """When it became ready; None while it starts."""
    terminating: bool = False
    """Deleted, and finishing its requests."""
    page: EngineMetrics | None = None
    """The newest page of metrics that has come to the rule; None before the first."""
    page_at: float | None = None
    """When the engine wrote that page."""
    waiting_tokens: float = 0.0
    """Prompt tokens in the queue, at the page's time: on no page of vLLM, but some systems' own agents count them."""
    context_tokens: float = 0.0
    """Tokens whose KV cache is held, at the page's time."""

    @property
    def ready(self) -> bool:
        """Whether it takes new requests."""
        return self.ready_at is not None and not self.terminating


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The fleet at one moment."""

    now: float
    """Seconds since the run began."""
    replicas: int
    """spec.replicas as written last."""
    pods: tuple[PodView, ...]
    """All that exist, the oldest first."""
    active: int
    """Requests between gateway and answer's end: what a proxy in front of the fleet counts."""
    arrived: int
    """Counter: requests that have come to the gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When an autoscaler looks and decides, in seconds."""

    period: float
    """Between two decisions."""
    scrape: float
    """Between two pages of a pod."""
    delay: float = 0.0
    """From a page to where the rule can see it: other components' caches and periods."""
    lag: float | None = None
    """From the pages of all pods to the decision, of a rule that looks itself just before it decides; None: somebody
    else looks, and pages are of any age up to `scrape`."""


class Rule(Protocol):
    """An autoscaler."""

    @property
    def timing(self) -> Timing:
        """The same during a whole run."""
        ...

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        ...
