"""What an activator counts, each declared once. On a registry of its own: this is another program than the operator."""

from collections.abc import Set as AbstractSet

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

LABELS = ["namespace", "name"]
WAITS = (0.1, 1, 5, 15, 30, 60, 120, 180, 300, 600, 1800)
"""Seconds; a start takes one to three minutes."""


class ActivatorMetrics:
    """All of them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seen: set[tuple[str, str]] = set()
        self.held = Gauge("llmfleet_activator_held_requests", "Requests that wait.", LABELS, registry=registry)
        self.held_bytes = Gauge("llmfleet_activator_held_bytes", "Bodies of requests that wait.", registry=registry)
        self.listening = Gauge("llmfleet_activator_objects", "Objects it listens for.", registry=registry)
        self.connections = Gauge("llmfleet_activator_connections", "Connections of clients.", registry=registry)
        self.wakes = Counter(
            "llmfleet_activator_wakes",
            "Times that a first request came for an object without a replica.",
            LABELS,
            registry=registry,
        )
        self.forwarded = Counter(
            "llmfleet_activator_forwarded", "Requests that were passed on to a replica.", LABELS, registry=registry
        )
        self.answered = Counter(
            "llmfleet_activator_answered",
            "Requests that were answered without a replica: health, models.",
            LABELS,
            registry=registry,
        )
        self.refused = Counter(
            "llmfleet_activator_refused",
            "Requests that were answered with an error of the activator's own, by cause.",
            [*LABELS, "reason"],
            registry=registry,
        )
        self.left = Counter(
            "llmfleet_activator_left", "Clients that hung up while they waited.", LABELS, registry=registry
        )
        self.wait = Histogram(
            "llmfleet_activator_wait_seconds",
            "How long requests waited that were passed on.",
            registry=registry,
            buckets=WAITS,
        )

    @property
    def all(self) -> tuple[Counter | Gauge | Histogram, ...]:
        """For the table in operator/README.md."""
        return (
            self.held,
            self.held_bytes,
            self.listening,
            self.connections,
            self.wakes,
            self.forwarded,
            self.answered,
            self.refused,
            self.left,
            self.wait,
        )

    def keep(self, objects: AbstractSet[tuple[str, str]]) -> None:
        """Forget the series of all other objects."""
        for gone in self._seen - objects:
            for metric in (self.held, self.wakes, self.forwarded, self.answered, self.refused, self.left):
                metric.remove_by_labels(dict(zip(LABELS, gone, strict=True)))
        self._seen = set(objects)
