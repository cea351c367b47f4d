"""Kubernetes' HorizontalPodAutoscaler: from metrics to a number of replicas.

Source: kubernetes v1.34.4, pkg/controller/podautoscaler/replica_calculator.go (calcPlainMetricReplicas, groupPods,
GetExternalMetricReplicas, GetExternalPerPodMetricReplicas) and horizontal.go (computeReplicasForMetrics,
reconcileAutoscaler). tests/control_plane/test_hpa_arithmetic.py holds it against the real controller. KEDA and other
systems that leave the arithmetic to an HPA use it too.

A look every 15 s; of several metrics the largest answer counts; where one of them cannot be had, the others may add
replicas but not take any. Values are whole thousandths, rounded up one by one, and averages are cut to whole
thousandths, because quantities are. A pod that runs but is not ready counts in full unless the metric is CPU; what
tells a starting engine from a serving one is only that it has no page yet:

- on the way up such pods count as 0, so replicas that still load lower the average;
- on the way down they count as exactly on target;
- where that turns the direction, or comes within the tolerance, nothing happens.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Protocol

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa_pace import DOWN_WINDOW, Behavior, Pace
from llmfleet.sim.peers.pages import Gauge, Query
from llmfleet.sim.rule import Timing, View

SYNC = 15.0
"""Seconds: the controller manager's --horizontal-pod-autoscaler-sync-period."""
SCRAPE = 15.0
"""Seconds between Prometheus' scrapes in every rule that reads from it. prometheus-adapter and KEDA ask Prometheus anew
each time that they are asked, so nothing else makes a value older."""
TIMING = Timing(period=SYNC, scrape=SCRAPE)
TOLERANCE = 0.1
_MILLI = 1000


class Stage(Enum):
    """What the arithmetic sees of a pod's life."""

    PENDING = "pending"
    RUNNING = "running"
    GONE = "gone"
    """Failed, or being deleted."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A pod and its metric in thousandths; None: it has none."""

    milli: int | None
    stage: Stage = Stage.RUNNING


def within(ratio: float, tolerance: float) -> bool:
    """Whether a ratio is near enough to 1 to be left alone."""
    return 1 - tolerance <= ratio <= 1 + tolerance


def milli(value: float) -> int:
    """A quantity in thousandths, rounded up."""
    # A float's own error would add a thousandth: 0.07 * 1000 is 70.00000000000001.
    return ceil(round(value * _MILLI, 6))


def for_pods(samples: Iterable[Sample], *, current: int, target: int, tolerance: float = TOLERANCE) -> int | None:
    """What a metric of type Pods with an averageValue asks for; None where no pod has it.

    Args:
        samples: the pods that the target's selector finds.
        current: spec.replicas.
        target: averageValue in thousandths.
        tolerance: part of the target.
    """
    alive = [sample for sample in samples if sample.stage is not Stage.GONE]
    known = [s.milli for s in alive if s.stage is Stage.RUNNING and s.milli is not None]
    missing = sum(s.stage is Stage.RUNNING and s.milli is None for s in alive)
    pending = sum(s.stage is Stage.PENDING for s in alive)
    if not known:
        return None
    ratio = _ratio(known, target)
    if not missing and not (pending and ratio > 1):
        return current if within(ratio, tolerance) else ceil(ratio * len(known))
    filled = list(known)
    if ratio < 1:
        filled += [target] * missing
    elif ratio > 1:
        filled += [0] * (missing + pending)
    settled = _ratio(filled, target)
    if within(settled, tolerance) or (settled - 1) * (ratio - 1) < 0:
        return current
    wanted = ceil(settled * len(filled))
    turned = (settled < 1 and wanted > current) or (settled > 1 and wanted < current)
    return current if turned else wanted


def _ratio(values: Sequence[int], target: int) -> float:
    return (sum(values) // len(values)) / target


def for_average_value(value: int, *, replicas: int, target: int, tolerance: float = TOLERANCE) -> int:
    """What an External or Object metric with an averageValue asks for: the whole, shared out at `target` each.

    Args:
        value: the whole, in thousandths.
        replicas: status.replicas: all pods, ready or not.
        target: averageValue in thousandths.
        tolerance: part of the target.
    """
    if replicas and within(value / (target * replicas), tolerance):
        return replicas
    return ceil(value / target)


def for_value(value: int, *, current: int, ready: int, target: int, tolerance: float = TOLERANCE) -> int:
    """What an External or Object metric with a value asks for: the ready pods, times how far it is from the target."""
    if not current:
        return ceil(value / target)
    return current if within(value / target, tolerance) else ceil(value / target * ready)


class Metric(Protocol):
    """One entry of `spec.metrics`."""

    def replicas(self, view: View, tolerance: float) -> int | None:
        """The number it asks for; None where it cannot be had."""
        ...


@dataclass(frozen=True, slots=True)
class PodsMetric:
    """type: Pods. A starting pod counts as running: its image is on the node, and its engine loads."""

    gauge: Gauge
    average_value: float

    def replicas(self, view: View, tolerance: float) -> int | None:
        """The number it asks for; None where no pod has it."""
        samples = []
        for pod in view.pods:
            value = self.gauge(pod)
            stage = Stage.GONE if pod.terminating else Stage.RUNNING
            samples.append(Sample(None if value is None else milli(value), stage))
        return for_pods(samples, current=view.replicas, target=milli(self.average_value), tolerance=tolerance)


@dataclass(frozen=True, slots=True)
class ExternalMetric:
    """type: External, with an averageValue unless `whole`; with a value then."""

    query: Query
    target: float
    whole: bool = False

    def replicas(self, view: View, tolerance: float) -> int | None:
        """The number it asks for; None where the query has no answer."""
        found = self.query(view)
        if found is None:
            return None
        value, target = milli(found), milli(self.target)
        alive = [pod for pod in view.pods if not pod.terminating]
        if self.whole:
            ready = sum(pod.ready for pod in alive)
            return for_value(value, current=view.replicas, ready=ready, target=target, tolerance=tolerance)
        return for_average_value(value, replicas=len(alive), target=target, tolerance=tolerance)


class Hpa:
    """A HorizontalPodAutoscaler and the controller's memory of it."""

    def __init__(
        self,
        bounds: Bounds,
        metrics: Sequence[Metric],
        *,
        behavior: Behavior | None = None,
        tolerance: float = TOLERANCE,
        timing: Timing = TIMING,
        down_window: float = DOWN_WINDOW,
    ) -> None:
        """The timing's period, `tolerance` and `down_window` are the controller manager's flags, with its defaults."""
        self.timing = timing
        self._bounds, self._metrics, self._tolerance = bounds, tuple(metrics), tolerance
        self._pace = Pace(bounds, behavior, down_window)

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        now, current = view.now, view.replicas
        self._pace.begin(now, current)
        if not current and self._bounds.least:
            return 0  # somebody switched it off
        wanted = self._bounds.keep(current)
        if wanted == current:
            asked = self._asked(view)
            wanted = current if asked is None else self._pace.limited(now, current, asked)
        if wanted != current:
            self._pace.moved(now, current, wanted)
        return wanted

    def _asked(self, view: View) -> int | None:
        answers = [metric.replicas(view, self._tolerance) for metric in self._metrics]
        known = [answer for answer in answers if answer is not None]
        if not known or (len(known) < len(answers) and max(known) < view.replicas):
            return None
        return max(known)
