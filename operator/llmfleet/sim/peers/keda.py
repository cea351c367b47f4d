"""KEDA's ScaledObjects for vLLM, as guides and charts publish them.

Source of the mechanism: kedacore/keda v2.21.0, pkg/scaling/executor and pkg/scalers/prometheus_scaler.go: every trigger
becomes an External metric of an HPA with a target of type AverageValue (the default of `metricType`), and KEDA itself
acts between zero and one only. So one to n is hpa.py. The queries go to Prometheus at every look of the HPA; a query
without a result counts as 0 (ignoreNullValues is true by default), so a fleet whose metrics are lost is asked to
shrink. To zero is left out: vLLM exports nothing there that could wake it.

Sources of the queries:
- waiting 5: vllm-project/production-stack, tutorials/20-keda-autoscaling.md and the chart's keda.triggers, meant as the
  sum over pods (unaggregated, as it stands there, KEDA refuses it as soon as there are two pods); llm-d and Google name
  3 to 5 as well;
- running 2: KServe's documentation of the KEDA autoscaler for LLMs, likewise; running 32: KubeAI's usual target, where
  2 would keep dozens of GPUs idle;
- the recipe of most articles: `avg(vllm:gpu_cache_usage_perc)` with 0.8, and the waiting requests a replica with 10. An
  AverageValue divides the whole by its target, and an average is no whole: ceil(0.9 / 0.8) is 2 for two replicas as for
  twenty. The average of the queue has the same fault: it asks for a number that does not know how many there are;
- the operator of production-stack (34a4a22, operator/internal/controller/vllmruntime_autoscaling_test.go has the
  defaults): running 5 a pod, 100 generated and 100 prompt tokens a second a pod, one pod a minute up, and one a minute
  down after 300 s. Its trigger that wakes a fleet at zero is left out.
"""

from llmfleet.sim.peers.bounds import Bounds
from llmfleet.sim.peers.hpa import ExternalMetric, Hpa
from llmfleet.sim.peers.hpa_pace import Behavior, Direction, Policy
from llmfleet.sim.peers.pages import Query, average, generation_tokens, kv_usage, prompt_tokens, running, total, waiting
from llmfleet.sim.peers.rates import Rate
from llmfleet.sim.rule import View

ARTICLE_WAITING = 10.0
STACK_RUNNING, STACK_TOKENS = 5.0, 100.0
"""What one pod is thought to be good for: running requests; generated, and prompt, tokens a second."""
STACK_PACE = Behavior(
    up=Direction(0, (Policy("Pods", 1, 60),)),
    down=Direction(300, (Policy("Pods", 1, 60),)),
)


def _or_zero(query: Query) -> Query:
    """What ignoreNullValues does."""
    return lambda view: query(view) or 0.0


def _scaled_object(bounds: Bounds, *triggers: tuple[Query, float], behavior: Behavior | None = None) -> Hpa:
    kept = Bounds(max(1, bounds.least), bounds.most)
    metrics = [ExternalMetric(_or_zero(query), threshold) for query, threshold in triggers]
    return Hpa(kept, metrics, behavior=behavior)


def on_waiting(bounds: Bounds, threshold: float) -> Hpa:
    """ceil(sum of waiting requests / threshold)."""
    return _scaled_object(bounds, (total(waiting), threshold))


def on_running(bounds: Bounds, threshold: float) -> Hpa:
    """ceil(sum of running requests / threshold)."""
    return _scaled_object(bounds, (total(running), threshold))


def article(bounds: Bounds, threshold: float) -> Hpa:
    """max(ceil(mean KV usage / threshold), ceil(mean waiting requests / 10)): replicas do not come into it."""
    return _scaled_object(bounds, (average(kv_usage), threshold), (average(waiting), ARTICLE_WAITING))


def production_stack(bounds: Bounds, factor: float) -> Hpa:
    """The largest of running requests over 5 and both token rates over 100/s, one pod a minute.

    `factor` raises the three thresholds alike: with prompts of a thousand tokens only theirs binds.
    """
    generated, prompts = Rate(generation_tokens), Rate(prompt_tokens)

    def of_generated(view: View) -> float:
        return generated.total(view)

    def of_prompts(view: View) -> float:
        return prompts.total(view)

    return _scaled_object(
        bounds,
        (total(running), factor * STACK_RUNNING),
        (of_generated, factor * STACK_TOKENS),
        (of_prompts, factor * STACK_TOKENS),
        behavior=STACK_PACE,
    )
