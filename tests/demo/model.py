"""What the demo has seen so far, and the summary at its end. Pure: fed with parsed answers, no clock, no I/O."""

from dataclasses import dataclass, field
from typing import Any

from tests.demo.client import quantile


@dataclass
class Fleet:
    """One LLMDeployment as it is shown."""

    name: str
    wanted: int = 0
    ready: int = 0
    pods: int = 0
    kv: float | None = None
    running: float | None = None
    waiting: float | None = None
    ttft_p50: float | None = None
    sent: int = 0
    done: int = 0
    errors: int = 0
    reason: str = ""
    decision: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)
    replica_seconds: float = 0.0
    samples: list[int] = field(default_factory=list)
    _last: float | None = None

    def see_object(self, body: dict[str, Any], now: float) -> None:
        """Take the numbers from the object, and integrate the pods that exist over time."""
        status = body.get("status", {})
        if self._last is not None:
            self.replica_seconds += self.pods * (now - self._last)
        self._last = now
        self.wanted = body["spec"].get("replicas", 0)
        self.ready = status.get("readyReplicas", 0)
        self.pods = status.get("replicas", 0)
        self.samples.append(self.ready)
        scaling = status.get("scaling", {})
        self.reason = scaling.get("reason", "")
        self.decision = scaling.get("message", "")
        for change in reversed(scaling.get("history", [])):
            if change not in self.history:
                self.history.append(change)

    def see_metrics(self, samples: dict[str, float]) -> None:
        """Take the operator's own figures for this object: metric name -> value."""
        self.kv = samples.get("llmfleet_kv_cache_usage_ratio")
        self.running = samples.get("llmfleet_requests_running")
        self.waiting = samples.get("llmfleet_requests_waiting")

    def see_client(self, report: dict[str, Any]) -> None:
        """Take the client's counts."""
        self.sent, self.done, self.errors = report["sent"], report["done"], report["errors"]
        self.ttft_p50 = report["ttft_p50"]

    @property
    def peak(self) -> int:
        """Most ready replicas at one time."""
        return max(self.samples, default=0)


@dataclass(frozen=True)
class Summary:
    """The last lines of the demo."""

    requests: int
    errors: list[str]
    ttft_p50: float | None
    ttft_p99: float | None
    tokens: int
    seconds: float
    replica_seconds: float
    static_peak_seconds: float
    decisions: list[str]

    @property
    def failed(self) -> bool:
        """Whether a single request failed, or none was made."""
        return bool(self.errors) or self.requests == 0


def summarize(fleets: list[Fleet], end: dict[str, Any], seconds: float) -> Summary:
    """Bring everything together.

    Args:
        fleets: what was seen of the objects.
        end: the client's last line.
        seconds: how long the fleets were watched.
    """
    changes = sorted((change["time"], fleet.name, change) for fleet in fleets for change in fleet.history)
    return Summary(
        requests=end["requests"],
        errors=end["errors"],
        ttft_p50=quantile(end["ttft"], 0.5),
        ttft_p99=quantile(end["ttft"], 0.99),
        tokens=end["tokens"],
        seconds=seconds,
        replica_seconds=sum(fleet.replica_seconds for fleet in fleets),
        static_peak_seconds=sum(fleet.peak for fleet in fleets) * seconds,
        decisions=[f"{time[11:19]}  {name}  {c['message']}" for time, name, c in changes],
    )
