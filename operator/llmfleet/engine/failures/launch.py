"""Texts about the command line, the environment and the file system that the engine starts in.

Sources: Python's argparse; vLLM 0.32.0 and 0.33.0 `entrypoints/launchers/launcher.py`, `renderers/chat_utils.py`,
`envs.py`, `v1/engine/core_client.py`; the container runtime's words for a command that cannot be started.
"""

from llmfleet.api.conditions import Reason
from llmfleet.engine.failures.rules import Kind, Rule, rule

_IMAGE = "Set spec.engine.image to an image of vLLM's server for the node's architecture."

RULES: tuple[Rule, ...] = (
    rule(
        r"error: unrecognized arguments: (?P<flags>[^\n]{1,300})",
        Reason.FLAG_UNKNOWN_TO_ENGINE,
        "The vLLM in use does not know: {flags}.",
        "Remove it from spec.engine.extraArgs, or set spec.engine.image to a vLLM that has it; if the image's tag does "
        "not tell its version, the administrator names it in engine.versions.",
        blames_spec=True,
    ),
    rule(
        r"error: argument (?P<flag>[^\s:]{1,80}): (?P<why>[^\n]{1,300})",
        Reason.ARGUMENT_REFUSED,
        "The engine refuses {flag}: {why}.",
        "Correct the field that sets it, or spec.engine.extraArgs.",
        blames_spec=True,
    ),
    rule(
        r"error: (?P<why>the following arguments are required: [^\n]{1,120}|ambiguous option: [^\n]{1,200})",
        Reason.ARGUMENT_REFUSED,
        "The engine refuses its command line: {why}.",
        "Correct spec.engine.extraArgs.",
        blames_spec=True,
    ),
    rule(
        r"invalid (?P<kind>tool call|reasoning) parser: (?P<name>[^\s(]{1,60})",
        Reason.ARGUMENT_REFUSED,
        "The vLLM in use has no {kind} parser {name}.",
        "Correct spec.engine.toolCallParser or reasoningParser; the engine's log lists the ones it has.",
        blames_spec=True,
    ),
    rule(
        r"The supplied chat template (?:string )?\((?P<path>[^)\n]{1,120})\)\s{0,4}[^\n]{0,60}doesn't exist|the "
        r"supplied "
        r"chat template path doesn't exist",
        Reason.ARGUMENT_REFUSED,
        "The chat template {path} is not there.",
        "Correct spec.engine.chatTemplate: the ConfigMap must have that key.",
        blames_spec=True,
    ),
    rule(
        r"jinja2\.exceptions\.Template\w{0,20}Error: (?P<why>[^\n]{1,200})",
        Reason.ARGUMENT_REFUSED,
        "The chat template is not valid Jinja: {why}.",
        "Correct the template in the ConfigMap of spec.engine.chatTemplate.",
    ),
    rule(
        r"VLLM_PORT '(?P<value>[^'\n]{1,80})' appears to be a URI",
        Reason.ARGUMENT_REFUSED,
        "VLLM_PORT is {value}: a Service called `vllm` put it into the environment.",
        "Rename that Service; the operator switches service links off, so somebody has edited the pods.",
    ),
    rule(
        r"Timed out waiting for engine core processes to start",
        Reason.START_TIMED_OUT,
        "The engine's processes did not load within VLLM_ENGINE_READY_TIMEOUT_S (600 s unless set).",
        "Set VLLM_ENGINE_READY_TIMEOUT_S in spec.engine.env to the seconds of spec.startup.timeoutSeconds, or keep the "
        "weights on a volume.",
    ),
    rule(
        r"No space left on device|Disk quota exceeded|Not enough free disk space",
        Reason.DISK_FULL,
        "The disk that the engine writes to is full.",
        "Raise spec.resources.limits.ephemeral-storage, or give spec.cache a larger volume.",
    ),
    rule(
        r"KeyError: 'getpwuid\(\): uid not found: (?P<uid>\d{1,10})'",
        Reason.NOT_WRITABLE,
        "The image has no user {uid}, and torch asks for the user's name.",
        "The operator sets USER and HOME for this; an image that overrides them cannot be used: correct "
        "spec.engine.image.",
        kind=Kind.ENVIRONMENT,
    ),
    rule(
        r"(?:PermissionError|OSError|Read-only file system)[^\n]{0,60}(?:Permission denied|Read-only file system): "
        r"'(?P<path>[^'\n]{1,200})'",
        Reason.NOT_WRITABLE,
        "The engine may not write {path}.",
        "Only the cache volume, /tmp and /dev/shm are writable; a claim must be writable by group 2000 if the "
        "engine has "
        "to write there. An image that writes elsewhere cannot be used: correct spec.engine.image.",
    ),
    rule(
        r"exec: \"(?P<what>[^\"\n]{1,120})\": (?:executable file not found|stat [^\n]{1,120}no such file)",
        Reason.IMAGE_UNUSABLE,
        "There is no `{what}` in the image.",
        _IMAGE,
        blames_spec=True,
    ),
    rule(
        r"exec format error",
        Reason.IMAGE_UNUSABLE,
        "The image is built for another processor architecture than the node's.",
        _IMAGE,
    ),
    rule(
        r"(?:torch_compile_cache|AOTAutogradCache|FxGraphCache|inductor|triton)[^\n]{0,200}(?:corrupt|"
        r"UnpicklingError|EOFError|BadZipFile|truncated)|pickle data was truncated|EOFError: Ran out of input",
        Reason.CACHE_CORRUPT,
        "Compiled kernels in the cache cannot be read.",
        "Empty the volume of spec.cache; a pod of its own without a volume starts with an empty cache.",
    ),
)
