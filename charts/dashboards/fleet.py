"""The dashboard of all LLMDeployments: what runs, what it costs, what is wrong, and how the operator does."""

from charts.dashboards.activator_row import ACTIVATORS
from charts.dashboards.autoscaler_panels import decisions, held
from charts.dashboards.operator_row import OPERATOR
from charts.dashboards.panels import (
    COUNT,
    DOLLARS,
    PERCENT,
    TOKENS_PER_SECOND,
    Dashboard,
    Panel,
    Query,
    Row,
    Variable,
    graph,
    stat,
)
from charts.dashboards.queries import cost_of_tokens, each, last_hour, replicas

NAME = "{{namespace}}/{{name}}"

HELD = " or ".join(
    (
        each("llmfleet_condition", 'type="ScalingActive"', 'status!="True"', 'reason!="Disabled"'),
        f"{each('llmfleet_start_held')} == 1",
    )
)

NOW = Row(
    "Now",
    (
        stat(
            "Models", "LLMDeployments that the operator knows.", Query(f"count ({each('llmfleet_llmdeployment_info')})")
        ),
        stat(
            "Not ready",
            "LLMDeployments whose condition Ready is not True: a start is under way, or something is wrong.",
            Query(f"""count ({each("llmfleet_condition", 'type="Ready"', 'status!="True"')}) or vector(0)"""),
            steps=((1, "orange"),),
        ),
        stat(
            "Replicas ready of wanted",
            "Share of the wanted replicas that answer requests.",
            Query(f"sum ({replicas('ready')}) / (sum ({replicas('wanted')}) > 0)"),
            unit=PERCENT,
            limits=(0, 1),
            steps=((0, "red"), (0.5, "orange"), (1, "green")),
        ),
        stat(
            "GPUs",
            "GPUs of pods that hold a place: serving, starting or draining.",
            Query(f"sum ({each('llmfleet_gpus', by='profile')})"),
        ),
        stat(
            "Cost per hour",
            "Price of those pods by their GPU profile. Models on a profile without a price are not in it.",
            Query(f"sum ({each('llmfleet_cost_usd_per_hour')})"),
            unit=DOLLARS,
            decimals=2,
        ),
        stat(
            "Cost per million tokens",
            "Of the last hour: everything that was paid for, over prompt and generation tokens.",
            Query(cost_of_tokens("1h")),
            unit=DOLLARS,
            decimals=2,
        ),
        stat(
            "Held",
            "LLMDeployments whose scaling or start is held now.",
            Query(f"count ({HELD}) or vector(0)"),
            steps=((1, "orange"),),
        ),
        stat(
            "Hung replicas",
            "Replicas with requests in flight and no engine step that are still there.",
            Query(f"sum ({each('llmfleet_hung_replicas')})"),
            steps=((1, "red"),),
        ),
    ),
)
MODELS = Row(
    "Models",
    (
        Panel(
            kind="table",
            title="Models",
            text="One line for each LLMDeployment, as it is now. A click on its name opens its dashboard.",
            queries=tuple(
                Query(expression)
                for expression in (
                    each("llmfleet_llmdeployment_info", by="model, gpu_profile"),
                    each("llmfleet_condition", 'type="Ready"', by="reason"),
                    replicas("wanted"),
                    replicas("ready"),
                    each("llmfleet_kv_cache_usage_ratio"),
                    each("llmfleet_requests_waiting"),
                    f"sum by (namespace, name) ({each('llmfleet_gpus', by='profile')})",
                    each("llmfleet_cost_usd_per_hour"),
                    each("llmfleet_cost_usd_per_million_tokens"),
                )
            ),
            columns=(
                ("namespace", "Namespace", "string"),
                ("name", "Name", "string"),
                ("model", "Model", "string"),
                ("gpu_profile", "GPU", "string"),
                ("reason", "Ready", "string"),
                ("Value #C", "Wanted", COUNT),
                ("Value #D", "Ready replicas", COUNT),
                ("Value #E", "KV cache", PERCENT),
                ("Value #F", "Waiting", COUNT),
                ("Value #G", "GPUs", COUNT),
                ("Value #H", "Per hour", DOLLARS),
                ("Value #I", "Per million tokens", DOLLARS),
            ),
            link="/d/llmfleet-model?var-namespace=${__data.fields.namespace}&var-deployment=${__data.fields.name}",
            width=24,
        ),
    ),
)
LOAD = Row(
    "Load",
    (
        graph(
            "KV-cache usage",
            "Mean over the replicas of each model. Above 90 % requests wait or are preempted.",
            Query(each("llmfleet_kv_cache_usage_ratio"), NAME),
            unit=PERCENT,
            limits=(0, 1),
        ),
        graph(
            "Requests waiting",
            "In the queues of all replicas of a model. A queue that grows is load that is not served.",
            Query(each("llmfleet_requests_waiting"), NAME),
        ),
        graph(
            "Tokens",
            "Prompt and generation tokens of each model, mean of the last minute.",
            Query(f"sum by (namespace, name) ({each('llmfleet_tokens_per_second', by='kind')})", NAME),
            unit=TOKENS_PER_SECOND,
            stacked=True,
        ),
    ),
)
REPLICAS = Row(
    "Replicas and cost",
    (
        graph(
            "Replicas wanted and ready",
            "Of all chosen models. The gap is replicas that start.",
            Query(f"sum ({replicas('wanted')})", "wanted"),
            Query(f"sum ({replicas('ready')})", "ready"),
        ),
        graph(
            "GPUs by profile",
            "GPUs of pods that hold a place.",
            Query(f"sum by (profile) ({each('llmfleet_gpus', by='profile')})", "{{profile}}"),
            stacked=True,
        ),
        graph(
            "Cost per hour",
            "By model; those on a profile without a price are not in it.",
            Query(each("llmfleet_cost_usd_per_hour"), NAME),
            unit=DOLLARS,
            stacked=True,
        ),
        decisions(
            "Decisions of the autoscaler",
            "Decisions per second by reason. AtMaximum, held and missing GPUs ask for a person.",
        ),
        held(
            "Share of the time for which scaling or a start was held, by reason; two models held are 200 %.",
        ),
        graph(
            "Engines that failed",
            "In the last hour: containers that were restarted, and hung engines that were replaced.",
            Query(last_hour("llmfleet_engine_restarts_total"), "restarted"),
            Query(last_hour("llmfleet_hung_engines_replaced_total"), "hung and replaced"),
        ),
    ),
)
DASHBOARD = Dashboard(
    uid="llmfleet-fleet",
    title="llmfleet / Fleet",
    text="All LLMDeployments: load, replicas, cost, what fails, and the operator; by its own metrics alone.",
    variables=(
        Variable(
            name="namespace",
            label="Namespace",
            query="label_values(llmfleet_llmdeployment_info, namespace)",
            several=True,
        ),
        Variable(
            name="deployment",
            label="LLMDeployment",
            query='label_values(llmfleet_llmdeployment_info{namespace=~"$namespace"}, name)',
            several=True,
        ),
    ),
    rows=(NOW, MODELS, LOAD, REPLICAS, ACTIVATORS, OPERATOR),
)
