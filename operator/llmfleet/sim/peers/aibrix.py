"""AIBrix's own autoscalers on KV-cache usage: APA, and KPA as it is coded and as it is meant.

Source: vllm-project/aibrix e3e10f9 (between 0.6 and 0.7), pkg/controller/podautoscaler/: algorithm/apa.go and kpa.go,
context/context.go (rates 2 and 2, tolerance 0.1, panic at 2, cooldown 300 s down), metrics/fetcher.go,
podautoscaler_controller.go (stabilizeRecommendation; a tick every 10 s, windows of 180 and 60 s). The target of 0.5 is
the one of its documentation for gpu_cache_usage_perc. At every tick the mean over pods goes into both windows; a pod
that cannot be asked counts as 0, so a fleet that starts or is lost looks idle.

r is the 180 s mean over target, n the replicas:
APA  r > 1.1: min(ceil(n r), ceil(2 n));  r < 0.9: max(ceil(n r), floor(n / 2));  else n
KPA  ceil(r), and n within the tolerance, between floor(n / 2) and ceil(2 n); in panic the larger of that and the same
     from the 60 s mean. Panic is where the short mean is more than twice the long one, or the long one is 0.

KPA as coded misses the factor n: Knative's formula is for the whole, and the windows hold the mean of one pod, so 0.9
over 0.5 asks for 2 whatever there is. Its rule that nothing shrinks in panic does not bind either (SetMaxPanicPods is
empty). The cooldown of both takes the smallest answer of 300 s where it means the largest, so that they shrink at once
and further than asked (vllm-project/aibrix issue 2821, closed in September 2026). As meant is with the factor, a panic
that never shrinks and that idle fleets are not in, and the largest answer.
"""

from math import ceil, floor
from statistics import fmean

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.pages import kv_usage
from llmfleet.sim.peers.windows import Window
from llmfleet.sim.rule import Timing, View

TICK, STABLE, PANIC, COOLDOWN = 10.0, 180.0, 60.0, 300.0
"""Seconds."""
KV_TARGET = 0.5
RATE, TOLERANCE, PANIC_THRESHOLD = 2.0, 0.1, 2.0


def apa(replicas: int, value: float, target: float) -> int:
    """What APA asks for, for a mean `value` of one pod."""
    ratio = value / target
    if ratio > 1 + TOLERANCE:
        return min(ceil(replicas * ratio), ceil(RATE * replicas))
    if ratio < 1 - TOLERANCE:
        return max(ceil(replicas * ratio), floor(replicas / RATE))
    return replicas


def kpa(replicas: int, value: float, target: float, *, pods: int = 1) -> int:
    """What KPA asks for, for a mean `value` of one pod times `pods`."""
    near = target * (1 - TOLERANCE) <= value <= target * (1 + TOLERANCE)
    wanted = replicas if near else ceil(pods * value / target)
    return min(max(wanted, floor(replicas / RATE)), max(1, ceil(RATE * replicas)))


class _Aibrix:
    """What the three have in common."""

    timing = Timing(period=TICK, scrape=TICK)

    def __init__(self, bounds: Bounds, target: float = KV_TARGET) -> None:
        """`target` is the targetValue of a metricsSource: KV usage, 0..1."""
        self._bounds, self._target = bounds, target
        self._stable, self._panic = Window(STABLE), Window(PANIC)
        self._asked: list[tuple[float, int]] = []

    def _look(self, view: View) -> bool:
        """Take the sample of this tick; False where there is no pod to ask."""
        found = [kv_usage(pod) or 0.0 for pod in view.pods if not pod.terminating]
        if not found or not view.replicas:
            return False
        self._stable.add(view.now, fmean(found))
        self._panic.add(view.now, fmean(found))
        return True

    def _remembered(self, now: float, wanted: int) -> list[int]:
        """The answers of the cooldown, this one included."""
        self._asked = [(at, n) for at, n in self._asked if at > now - COOLDOWN]
        self._asked.append((now, wanted))
        return [n for _, n in self._asked]

    def _cooled(self, view: View, wanted: int) -> int:
        """The cooldown as coded."""
        wanted = self._bounds.keep(wanted)
        answers = self._remembered(view.now, wanted)
        return min(answers) if wanted < view.replicas else wanted


class Apa(_Aibrix):
    """The strategy APA."""

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        if not self._look(view):
            return view.replicas
        return self._cooled(view, apa(view.replicas, self._stable.mean, self._target))


class KpaAsCoded(_Aibrix):
    """The strategy KPA."""

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        if not self._look(view):
            return view.replicas
        stable, panic = self._stable.mean, self._panic.mean
        wanted = kpa(view.replicas, stable, self._target)
        if stable <= 0 or panic / stable > PANIC_THRESHOLD:
            wanted = max(wanted, kpa(view.replicas, panic, self._target))
        return self._cooled(view, wanted)


class KpaAsMeant(_Aibrix):
    """KPA on the whole of the fleet, without its slips."""

    def decide(self, view: View) -> int:
        """spec.replicas from now on."""
        if not self._look(view):
            return view.replicas
        n, stable, panic = view.replicas, self._stable.mean, self._panic.mean
        wanted = kpa(n, stable, self._target, pods=n)
        if stable > 0 and panic / stable > PANIC_THRESHOLD:
            wanted = max(n, wanted, kpa(n, panic, self._target, pods=n))
        wanted = self._bounds.keep(wanted)
        if not self._asked:
            self._remembered(view.now, n)  # what is there at first counts, as with an HPA
        answers = self._remembered(view.now, wanted)
        return min(max(answers), n) if wanted < n else wanted
