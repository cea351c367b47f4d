"""From an LLMDeployment and the settings to its memory plan: which model, which GPU, which engine. Pure.

Read by the checks (`feasibility.py`), by the status, and by `llmfleet plan`: all three say the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from llmfleet.api.settings import GpuProfile, Settings
from llmfleet.api.v1alpha1 import LLMDeployment, LLMDeploymentSpec
from llmfleet.engine import source
from llmfleet.engine.arguments import canonical
from llmfleet.engine.memory.advice import sentence
from llmfleet.engine.memory.inputs import Gpu, Setup
from llmfleet.engine.memory.plan import MemoryPlan, Verdict, plan
from llmfleet.engine.memory.remedies import Remedy, remedies
from llmfleet.engine.models import table as models
from llmfleet.engine.models.architecture import Architecture
from llmfleet.engine.version import Version, assumed_version, image_of

SAVING = (
    "--cpu-offload",
    "--decode-context-parallel",
    "--hf-overrides",
    "--kv-cache-memory",
    "--language-model-only",
    "--limit-mm-per-prompt",
    "--num-gpu-blocks-override",
    "--offload-",
)
"""Beginnings of flags that may make an engine start that would not without them."""
TAKING = (
    "--block-size",
    "--compilation-config",
    "--cudagraph",
    "--data-parallel",
    "--enable-eplb",
    "--hf-",
    "--kv-cache-memory",
    "--kv-transfer",
    "--mm-",
    "--num-gpu-blocks-override",
)
"""Beginnings of flags that may make an engine take more than is counted."""
EXPERT_PARALLEL = frozenset({"--enable-expert-parallel", "-ep"})
EAGER = frozenset({"--enforce-eager", "-O0", "--optimization-level=0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a plan is made of; what cannot be known is None."""

    deployment: LLMDeployment
    settings: Settings
    model: str
    """The name under which the architecture was looked up."""
    is_exact: bool
    """The architecture is the model's own, and not that of one like it."""
    architecture: Architecture | None
    profile: GpuProfile | None
    gpu: Gpu | None
    setup: Setup

    @property
    def version(self) -> Version:
        """Of vLLM."""
        return self.setup.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A case with its plan, if one can be made, and the words."""

    case: Case
    plan: MemoryPlan | None = None
    remedies: Sequence[Remedy] = field(default=())
    message: str


def case(deployment: LLMDeployment, settings: Settings, *, architecture: Architecture | None = None) -> Case:
    """Look everything up.

    Args:
        deployment: whose plan is wanted.
        settings: with the profiles.
        architecture: the model's own, where it is at hand; else it is looked up in the table.
    """
    spec = deployment.spec
    profile = settings.profile(spec.gpu.profile)
    name = spec.model.architecture or _repository(spec)
    return Case(
        deployment=deployment,
        settings=settings,
        model=name.removeprefix("hf://"),
        is_exact=architecture is not None or spec.model.architecture is None,
        architecture=architecture or models.find(name.removeprefix("hf://")),
        profile=profile,
        gpu=Gpu.of(profile) if profile else None,
        setup=setup_of(spec, assumed_version(image_of(spec, settings), settings)),
    )


def outlook(of: Case) -> Outlook:
    """The plan of a case, or the sentence why there is none."""
    if of.architecture is None:
        return Outlook(case=of, message=_unknown(of))
    if of.gpu is None:
        return Outlook(case=of, message="There is no memory plan: the profile has no GPU.")
    if of.setup.pipeline_parallel > of.architecture.layers:
        return Outlook(case=of, message="There is no memory plan: the model has fewer layers than pipeline stages.")
    planned = plan(of.architecture, of.setup, of.gpu)
    found: Sequence[Remedy] = ()
    if planned.verdict is not Verdict.FITS:
        gpus = [gpu for profile in of.settings.gpu_profiles if (gpu := Gpu.of(profile))]
        found = remedies(of.architecture, planned, gpus)
    return Outlook(case=of, plan=planned, remedies=found, message=sentence(of.model, planned, found))


def setup_of(spec: LLMDeploymentSpec, version: Version) -> Setup:
    """How the engine of a spec is run."""
    engine = spec.engine
    flags = [canonical(argument.partition("=")[0]) for argument in engine.extra_args]
    return Setup(
        version=version,
        dtype=engine.dtype.value,
        quantization=engine.quantization,
        kv_cache_dtype=engine.kv_cache_dtype,
        tensor_parallel=spec.gpu.tensor_parallel_size,
        pipeline_parallel=spec.gpu.pipeline_parallel_size,
        utilization=engine.gpu_memory_utilization,
        max_model_len=engine.max_model_len,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        chunked_prefill=engine.chunked_prefill,
        prefix_caching=engine.prefix_caching,
        expert_parallel=not EXPERT_PARALLEL.isdisjoint(flags),
        eager=not EAGER.isdisjoint(engine.extra_args),
        may_need_less=any(flag.startswith(SAVING) for flag in flags),
        may_need_more=bool(engine.speculative or engine.lora) or any(flag.startswith(TAKING) for flag in flags),
    )


def _repository(spec: LLMDeploymentSpec) -> str:
    """ORG/NAME of a hub model; empty for one of a claim, a bucket or an image."""
    try:
        model = source.parse(spec.model.source)
    except ValueError:
        return ""
    return model.repository if isinstance(model, source.HubModel) else ""


def _unknown(of: Case) -> str:
    """Why nothing can be planned, and what to do."""
    if not of.model:
        return (
            "There is no memory plan: the model's shape is known for hub models only; set spec.model.architecture to a "
            "well-known model of the same shape (`llmfleet plan --models` lists them)."
        )
    near = models.suggest(of.model)
    like = f", such as {near[0]}" if near else " (`llmfleet plan --models` lists them)"
    return (
        f"There is no memory plan: {of.model} is not among the well-known models; set spec.model.architecture to one "
        f"of the same shape{like}."
    )
