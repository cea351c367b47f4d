"""The operator's own metrics about itself, each declared once.

Those of objects are in fleet_metrics.py (what the caches hold), in chronicle.py (what the status forgets), and in
scaling/metrics.py (what the loop sees); what is counted at the API server is in kube/metrics.py.
"""

from prometheus_client import Counter, Gauge, Histogram

from llmfleet.kube.metrics import API_WRITES, LEADER

BUILD_INFO = Gauge("llmfleet_build_info", "Always 1; the label holds the version of the operator.", ["version"])
RECONCILES = Counter("llmfleet_reconcile", "Passes over one object, by how they ended.", ["result"])
RECONCILE_SECONDS = Histogram(
    "llmfleet_reconcile_seconds",
    "Duration of one pass over one object.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
)
QUEUE_DEPTH = Gauge("llmfleet_queue_depth", "Objects that wait for a pass that is due.")
ERRORS = Counter("llmfleet_errors", "Passes that failed: transient, invalid, bug.", ["kind"])
for kind in ("transient", "invalid", "bug"):
    ERRORS.labels(kind)  # from 0, so that a rate sees the first one
START_FAILURES = Counter(
    "llmfleet_start_failures",
    "Engines that ended before their pod was ever ready, by cause.",
    ["namespace", "name", "reason"],
)
RESTARTS = Counter(
    "llmfleet_engine_restarts", "Engine containers that the kubelet started again.", ["namespace", "name"]
)
HELD_SECONDS = Counter(
    "llmfleet_held_seconds",
    "Seconds for which scaling, or a start, was held.",
    ["namespace", "name", "held", "reason"],
)
REVERSALS = Counter(
    "llmfleet_scaling_reversals",
    "Changes of spec.replicas, by whomever, in the other direction than the one before.",
    ["namespace", "name"],
)
WATCH_AGE = Gauge("llmfleet_watch_age_seconds", "Seconds since a watch was heard of last.", ["resource"])

OWN = (
    BUILD_INFO,
    LEADER,
    RECONCILES,
    RECONCILE_SECONDS,
    QUEUE_DEPTH,
    ERRORS,
    START_FAILURES,
    RESTARTS,
    HELD_SECONDS,
    REVERSALS,
    API_WRITES,
    WATCH_AGE,
)
"""All of them, for the table in operator/README.md."""
