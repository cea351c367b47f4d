"""How fast a HorizontalPodAutoscaler may move replicas, sized to the time that one takes to start. Pure.

Kubernetes' own pace, doubling every 15 s and dropping everything after five minutes, is made for pods that start in
seconds. A queue goes on growing while the replicas that are to drain it still load, so an autoscaler that may ask again
before they are there asks for the same load twice.

Up: within the time of a start four times as many replicas, or four more: the whole answer to a load step in one
decision, and the next one when its replicas can be seen at work. A full KV cache alone never asks for more than
1/target times the present number, which is 3.3 at most with the presets; four times is also where the built-in
autoscaler stops while it does not know what a replica serves.
Down: only what all looks within the delay agreed on, and at least within the time of a start: replicas that still load
have no numbers, and would look idle. Then half of the replicas each minute, so that the rest shows whether it carries
the load before more go.
"""

from math import ceil
from typing import Any

from llmfleet.api.v1alpha1 import ScalingSpec

UNKNOWN_STARTUP = 120
"""Seconds that a start is taken to last until one was seen; 58 to 132 s were measured on an H200 (vLLM 0.26)."""
STEP = 15
"""Seconds to which a measured start is rounded up: as often as the HorizontalPodAutoscaler looks."""
TOO_LONG = 3
"""Times a measured start from which the time that is in use counts as outdated."""
LONGEST_WINDOW, LONGEST_PERIOD = 3600, 1800
"""Seconds that Kubernetes takes at most."""
GROWTH_PERCENT, GROWTH_PODS = 300, 4
SHRINK_PERCENT, SHRINK_SECONDS = 50, 60


def sized(measured: int | None, *, before: int | None) -> int:
    """Seconds of a start to reckon with.

    Starts are never equally long. So what is in use stays while it is long enough and not much too long: a new number
    is a write.

    Args:
        measured: seconds of the last start; None: none was seen.
        before: what is in use; None: nothing yet.
    """
    if measured is None:
        return UNKNOWN_STARTUP if before is None else before
    if before is not None and measured <= before <= TOO_LONG * measured:
        return before
    return max(STEP, STEP * ceil(measured / STEP))


def behavior(scaling: ScalingSpec, *, startup: int) -> dict[str, Any]:
    """The `behavior` of the HorizontalPodAutoscaler.

    Args:
        scaling: the object's.
        startup: seconds of a start.
    """
    period = min(startup, LONGEST_PERIOD)
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": GROWTH_PERCENT, "periodSeconds": period},
                {"type": "Pods", "value": GROWTH_PODS, "periodSeconds": period},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": min(max(scaling.scale_down_delay_seconds, startup), LONGEST_WINDOW),
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": SHRINK_PERCENT, "periodSeconds": SHRINK_SECONDS},
                {"type": "Pods", "value": 1, "periodSeconds": SHRINK_SECONDS},
            ],
        },
    }
