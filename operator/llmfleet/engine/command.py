"""The engine's command line, always as argv and never through a shell.

`vllm serve MODEL` is the supported form (the image's own entrypoint differs between versions, so it is spelled out).
Each flag is one item, `--flag=value`, so that a value cannot be taken for a flag; only the served names need an item
each. What a tenant adds comes last, and `engine.checks` has refused there what a field owns.
"""

from llmfleet.api.v1alpha1 import LLMDeploymentSpec
from llmfleet.engine import source
from llmfleet.engine.flags import FIELDS, HOUSEKEEPING
from llmfleet.engine.version import Version

COMMAND = ("vllm", "serve")


def argv(spec: LLMDeploymentSpec, *, name: str, version: Version) -> list[str]:
    """The whole command line, as the process shall see it.

    Args:
        spec: what the tenant wants.
        name: the object's name, under which the model is served where the spec names nothing else.
        version: of the vLLM that will run; flags it does not have are left out. `engine.checks` has refused a spec
            that needs one of them.

    Raises:
        ValueError: the source is in no known form.
    """
    flags = [item for flag in (*FIELDS, *HOUSEKEEPING) if flag.since <= version for item in flag.arguments(spec)]
    names = ["--served-model-name", *served_names(spec, name)]
    return [*COMMAND, source.parse(spec.model.source).argument, *names, *flags, *spec.engine.extra_args]


def served_names(spec: LLMDeploymentSpec, name: str) -> tuple[str, ...]:
    """Names under which requests may ask for the model; the first one labels the metrics."""
    return spec.model.served_names or (name,)


def literal(text: str) -> str:
    """Write a text so that the kubelet hands on exactly that text.

    In command, args, env values and the commands of probes the kubelet replaces `$(NAME)`, and makes `$$` a single
    `$` wherever it stands (Kubernetes: third_party/forked/golang/expansion). Doubling every dollar undoes both.
    """
    return text.replace("$", "$$")
