"""`llmfleet plan`: will this model run on that GPU, and how much will it serve. No cluster, no hub, no GPU needed."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from llmfleet.api.engine import Dtype
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.commands import inputs, plan_text
from llmfleet.commands.inputs import UsageError, deployments
from llmfleet.engine import feasibility
from llmfleet.engine.checks import check
from llmfleet.engine.memory.plan_status import status_of
from llmfleet.engine.memory.planning import Outlook, case, outlook
from llmfleet.engine.models import table as models
from llmfleet.engine.models.architecture import Architecture, read
from llmfleet.engine.problem import Problem, Severity
from llmfleet.process.settings import explain

UNNAMED = "local/model"
"""The model's name where only its config.json is given."""
EXAMPLES = """examples:
  llmfleet plan meta-llama/Llama-3.1-8B-Instruct --gpu l4
  llmfleet plan Qwen/Qwen3-32B --gpu h100-80gb --tp 2 --max-model-len 32768
  llmfleet plan --config ./config.json --gpu a100-80gb --quantization fp8 --json
  llmfleet plan -f llmdeployment.yaml --settings settings.yaml

ends with 0 if nothing is known to fail, with 1 if the engine will not start
"""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the subcommand."""
    parser = commands.add_parser(
        "plan",
        help="say whether a model fits on a GPU, and what to change if not",
        description="Works out the GPU memory of a model: weights, overhead, KV cache, sequences at a time, the "
        "largest context; and what to change where it does not fit.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", nargs="?", metavar="MODEL", help="a well-known model, as ORG/NAME")
    parser.add_argument("-f", "--filename", type=Path, metavar="FILE", help="LLMDeployments, YAML, instead of a MODEL")
    parser.add_argument("--settings", type=Path, metavar="FILE", help=inputs.SETTINGS_HELP)
    parser.add_argument("--config", type=Path, metavar="FILE", help="config.json of any other model")
    _add_engine(parser)
    parser.add_argument("--json", action="store_true", help="print JSON, with the keys of status.plan")
    parser.add_argument("--models", action="store_true", help="list the well-known models")
    parser.add_argument("--gpus", action="store_true", help="list the GPU profiles")
    parser.set_defaults(do=run)


def _add_engine(parser: argparse.ArgumentParser) -> None:
    engine = parser.add_argument_group("how the engine is run (with MODEL or --config)")
    engine.add_argument("--gpu", default="", metavar="PROFILE", help="GPU profile (default: the default one)")
    engine.add_argument("--tp", type=int, default=1, metavar="N", help="tensor-parallel size")
    engine.add_argument("--pp", type=int, default=1, metavar="N", help="pipeline-parallel size")
    engine.add_argument("--dtype", choices=[dtype.value for dtype in Dtype], default="auto", help="default: auto")
    engine.add_argument("--quantization", metavar="METHOD", help="such as fp8; default: what the checkpoint says")
    engine.add_argument("--kv-cache-dtype", metavar="TYPE", help="such as fp8; default: the model's")
    engine.add_argument("--max-model-len", metavar="N", help="tokens, or auto; default: the model's")
    engine.add_argument("--max-num-seqs", type=int, metavar="N", help="default: vLLM's for the GPU")
    engine.add_argument("--max-num-batched-tokens", type=int, metavar="N", help="default: vLLM's for the GPU")
    engine.add_argument("--utilization", type=float, default=0.9, metavar="F", help="share of memory; default: 0.9")
    engine.add_argument("--vllm-version", metavar="V", help="default: that of the settings' image")


def run(arguments: argparse.Namespace) -> int:
    """Plan what the command line asks for; returns the exit code."""
    settings = inputs.settings(arguments.settings)
    if arguments.models or arguments.gpus:
        lines = plan_text.models() if arguments.models else plan_text.gpus(settings)
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    found = list(_from_file(arguments, settings) if arguments.filename else _direct(arguments, settings))
    if arguments.json:
        shown: Any = [_document(seen, problems) for seen, problems in found]
        sys.stdout.write(json.dumps(shown if arguments.filename else shown[0], indent=2) + "\n")
    else:
        sys.stdout.write("\n".join("\n".join(plan_text.report(*one)) + "\n" for one in found))
    fails = any(problem.severity is Severity.ERROR for _, problems in found for problem in problems)
    return 1 if fails else 0


_Found = tuple[Outlook, list[Problem]]


def _from_file(arguments: argparse.Namespace, settings: Settings) -> Iterator[_Found]:
    """Each LLMDeployment of a file, with everything that is known against it."""
    if arguments.model or arguments.config:
        raise UsageError("give either a file of LLMDeployments or a model")
    for deployment in deployments(arguments.filename):
        seen = outlook(case(deployment, settings))
        yield seen, check(deployment, settings, seen=seen)


def _direct(arguments: argparse.Namespace, settings: Settings) -> Iterator[_Found]:
    """The model of the command line, run as its options say."""
    architecture = _read(arguments.config) if arguments.config else None
    if not arguments.model and architecture is None:
        raise UsageError("say what to plan: a MODEL, --config FILE, or -f FILE (llmfleet plan --help has examples)")
    deployment = _deployment(arguments, settings)
    of = case(deployment, settings, architecture=architecture)
    if of.architecture is None:
        near = "".join(f"\n  {name}" for name in models.suggest(of.model))
        like = f"\ndid you mean:{near}" if near else ""
        raise UsageError(
            f"{of.model} is not among the well-known models: give its config.json with --config, or take one of "
            f"`llmfleet plan --models`{like}"
        )
    if of.profile is None:
        names = ", ".join(profile.name for profile in settings.gpu_profiles)
        raise UsageError(f"there is no GPU profile {arguments.gpu!r}: take one of {names}")
    seen = outlook(of)
    if seen.plan is None:
        raise UsageError(seen.message)
    yield seen, list(feasibility.problems(seen))


def _deployment(arguments: argparse.Namespace, settings: Settings) -> LLMDeployment:
    """The LLMDeployment that the options describe."""
    length = arguments.max_model_len
    version = arguments.vllm_version
    engine = {
        "image": f"vllm/vllm-openai:v{version.removeprefix('v')}" if version else settings.engine.default_image,
        "dtype": arguments.dtype,
        "quantization": arguments.quantization,
        "kvCacheDtype": arguments.kv_cache_dtype,
        "maxModelLen": int(length) if length and length.isdecimal() else length,
        "maxNumSeqs": arguments.max_num_seqs,
        "maxNumBatchedTokens": arguments.max_num_batched_tokens,
        "gpuMemoryUtilization": arguments.utilization,
    }
    spec = {
        "model": {"source": f"hf://{(arguments.model or UNNAMED).removeprefix('hf://')}"},
        "engine": {key: value for key, value in engine.items() if value is not None},
        "gpu": {"profile": arguments.gpu, "tensorParallelSize": arguments.tp, "pipelineParallelSize": arguments.pp},
    }
    try:
        return LLMDeployment.parse({"metadata": {"name": "plan", "namespace": "default"}, "spec": spec})
    except ValidationError as error:
        raise UsageError(explain(error)) from error


def _read(path: Path) -> Architecture:
    """The shape that a config.json describes."""
    try:
        return read(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _document(seen: Outlook, problems: list[Problem]) -> dict[str, Any]:
    """The plan as JSON."""
    setup, profile = seen.case.setup, seen.case.profile
    return {
        "name": seen.case.deployment.metadata.name,
        "model": seen.case.model,
        "gpuProfile": profile.name if profile else None,
        "gpusPerReplica": setup.gpus,
        "vllmVersion": str(setup.version),
        **status_of(seen).dump(),
        "problems": [
            {"severity": problem.severity.value, "reason": problem.reason.value, "message": problem.message}
            for problem in problems
        ],
        "remedies": [
            {
                "changes": {change.field: change.value for change in remedy.changes},
                "verdict": remedy.plan.verdict.value,
                "kvCacheTokens": remedy.plan.kv_tokens,
                "maxConcurrentSequences": int(remedy.plan.concurrency),
                "pricePerHourMore": remedy.price,
            }
            for remedy in seen.remedies
        ],
    }
