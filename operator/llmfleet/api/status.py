"""The status of an LLMDeployment: what was seen, never what is hoped.

Built by `controller.status` from observations; the schema goes into the CRD.
"""

from typing import Annotated, Literal

from pydantic import Field

from llmfleet.api.base import ATOMIC, ApiModel, list_map

Time = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339 time, UTC."""
TEXT_LENGTH = 1024
Text = Annotated[str, Field(max_length=TEXT_LENGTH)]


class Condition(ApiModel):
    """One aspect of the object's state, in the shape that kubectl and every Kubernetes client know."""

    type: Annotated[str, Field(max_length=64)]
    """Ready, Available, Progressing, SpecValid or ScalingActive."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """The generation that the condition speaks of."""
    last_transition_time: Time
    """When the status changed last."""
    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list; see the project's documentation."""
    message: Annotated[str, Field(max_length=4096)] = ""
    """A sentence with the numbers and, where one is known, the remedy."""


class ScalingSignals(ApiModel):
    """What the autoscaler saw, rounded, over the replicas that gave fresh metrics."""

    replicas_observed: Annotated[int, Field(ge=0)] | None = None
    """Ready replicas with fresh metrics."""
    kv_cache_usage_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Mean KV-cache usage."""
    utilization_percent: Annotated[int, Field(ge=0, le=100000)] | None = None
    """Share of the replicas' time that arriving requests take, by the step-time model; above 100: too much."""
    requests_running: Annotated[int, Field(ge=0)] | None = None
    """Requests in execution, all replicas together."""
    requests_waiting: Annotated[int, Field(ge=0)] | None = None
    """Requests in the engines' queues, all replicas together."""
    preemptions_per_minute: Annotated[int, Field(ge=0)] | None = None
    """Requests thrown out of the KV cache and recomputed, all replicas together."""
    prompt_tokens_per_second: Annotated[int, Field(ge=0)] | None = None
    """Prompt tokens processed, all replicas together."""
    generation_tokens_per_second: Annotated[int, Field(ge=0)] | None = None
    """Tokens generated, all replicas together."""


class ScalingChange(ApiModel):
    """One change of replicas by the autoscaler."""

    time: Time
    """When."""
    from_: Annotated[int, Field(ge=0, alias="from")]
    """Replicas before."""
    to: Annotated[int, Field(ge=0)]
    """Replicas after."""
    reason: Annotated[str, Field(max_length=64)]
    """One word: the term that decided."""
    message: Text = ""
    """The sentence with the numbers."""


class ScalingStatus(ApiModel):
    """The autoscaler's last decision and the ones before."""

    desired_replicas: Annotated[int, Field(ge=0)] | None = None
    """Replicas that the signals ask for, within the bounds."""
    reason: Annotated[str, Field(max_length=64)] = ""
    """One word of the reasons of ScalingActive."""
    message: Text = ""
    """The sentence with the numbers."""
    last_scale_time: Time | None = None
    """When the replicas were changed last."""
    signals: ScalingSignals | None = None
    """What was seen; refreshed at most once a minute."""
    history: Annotated[tuple[ScalingChange, ...], Field(max_length=5), ATOMIC] = ()
    """The last changes, newest first."""


class EngineStatus(ApiModel):
    """What the running engines say of themselves."""

    version: Annotated[str, Field(max_length=64)] | None = None
    """vLLM version as the engine that started last tells it; before, from the image tag or the operator's settings."""
    kv_cache_tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens that the KV cache of one replica holds."""
    startup_seconds: Annotated[int, Field(ge=0)] | None = None
    """Seconds from container start to Ready of the replica that became ready last."""


class ReplacementRecord(ApiModel):
    """One replica that the operator replaced by itself."""

    time: Time
    """When its pod was deleted."""
    pod: Annotated[str, Field(max_length=253)]
    """Name of the pod."""
    reason: Annotated[str, Field(max_length=64)]
    """One word of the closed list of reasons."""
    message: Text = ""
    """The sentence with the numbers."""


class Recommendation(ApiModel):
    """One change of the spec that the operator proposes from what it saw."""

    reason: Annotated[str, Field(max_length=64)]
    """One word of a closed list; see the project's documentation."""
    message: Text
    """The sentence with the numbers and the field to change."""
    since: Time
    """When it was first proposed."""


class PlanStatus(ApiModel):
    """What was worked out before a pod was started, of one replica; and what the running engine says of it."""

    verdict: Literal["Fits", "Tight", "DoesNotFit"] | None = None
    """Fits: it starts also if it takes more than estimated. Tight: it may or may not. DoesNotFit: it certainly does
    not. Absent: there is no plan, the message says why."""
    confidence: Literal["High", "Medium", "Low"] | None = None
    """How far the numbers can be trusted."""
    message: Text = ""
    """The sentence with the numbers and, where it does not fit for sure, the remedies."""
    model_known: bool = False
    """Whether the model's shape is known."""
    architecture: Annotated[str, Field(max_length=193)] | None = None
    """The well-known model whose shape was used."""
    weights_bytes_per_gpu: Annotated[int, Field(ge=0)] | None = None
    """Weights on the fullest GPU."""
    overhead_bytes_per_gpu: Annotated[int, Field(ge=0)] | None = None
    """Activations, CUDA graphs and runtime on that GPU."""
    kv_cache_bytes_per_gpu: Annotated[int, Field(ge=0)] | None = None
    """KV cache on that GPU."""
    kv_bytes_per_token: Annotated[int, Field(ge=0)] | None = None
    """KV cache of one token in all layers, on one GPU of a tensor-parallel group."""
    kv_cache_tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens that the KV cache of one replica holds."""
    max_model_len: Annotated[int, Field(ge=0)] | None = None
    """Longest sequence in tokens, as asked for or as the model's configuration says."""
    max_concurrent_sequences: Annotated[int, Field(ge=0)] | None = None
    """Sequences of that length that the KV cache holds at a time."""
    largest_max_model_len: Annotated[int, Field(ge=0)] | None = None
    """Largest maxModelLen that fits."""
    measured_kv_cache_tokens: Annotated[int, Field(ge=0)] | None = None
    """Tokens that the KV cache of a running replica holds, as it says itself."""
    difference_percent: Annotated[int, Field(ge=-100, le=1000000)] | None = None
    """By how much the measured tokens are more (or, below zero, less) than the planned ones."""


class LLMDeploymentStatus(ApiModel):
    """What was seen of the fleet."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The generation that the status speaks of."""
    replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods that exist."""
    ready_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods that answer requests."""
    updated_replicas: Annotated[int, Field(ge=0)] | None = None
    """Pods of the present spec."""
    selector: Annotated[str, Field(max_length=512)] | None = None
    """Label selector of the pods, for whoever scales through the scale subresource."""
    ready: Annotated[str, Field(max_length=32)] | None = None
    """Ready replicas of wanted ones, as `kubectl get` prints them: 2/3."""
    kv_cache_usage: Annotated[str, Field(max_length=8)] | None = None
    """Mean KV-cache usage as `kubectl get` prints it: 61%."""
    gpu_profile: Annotated[str, Field(max_length=63)] | None = None
    """The GPU profile in use."""
    url: Annotated[str, Field(max_length=512)] | None = None
    """Base URL of the OpenAI API inside the cluster."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16), list_map("type")] = ()
    """Ready, Available, Progressing, SpecValid and ScalingActive."""
    plan: PlanStatus | None = None
    """The memory plan of one replica."""
    scaling: ScalingStatus | None = None
    """The autoscaler's view."""
    engine: EngineStatus | None = None
    """The engines' view."""
    replacements: Annotated[tuple[ReplacementRecord, ...], Field(max_length=5), ATOMIC] = ()
    """The last replicas that were replaced because their engine hung, newest first."""
    recommendations: Annotated[tuple[Recommendation, ...], Field(max_length=3), list_map("reason")] = ()
    """Changes of the spec that the last hours speak for, the most worth first; nothing is changed by itself."""
