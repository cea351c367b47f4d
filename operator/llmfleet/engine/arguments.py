"""Reading free-form arguments as vLLM's parser will read them, to find the flags that a tenant may not set.

The CRD's rule compares whole names. argparse is more generous, and so is vLLM on top of it: `--tensor-par` and `-t`
are abbreviations, `--max_model_len` is `--max-model-len`, `-qfp8` is `-q fp8`, `--profiler-config.x=1` sets a key of
`--profiler-config` (vLLM `utils/argparse_utils.py`). A flag is refused whenever it might be read as a refused one.
"""

from collections.abc import Iterator, Sequence

from llmfleet.api.reserved import refused_flags
from llmfleet.engine.flags import EXACT_ALLOWED, REFUSED_VALUES

_REFUSED = refused_flags()
_ONE_LETTER = tuple(flag for flag in _REFUSED if len(flag) == len("-q"))


def refusals(arguments: Sequence[str]) -> Iterator[str]:
    """One sentence for each argument that is refused, in their order."""
    for position, argument in enumerate(arguments):
        if not argument.startswith("-"):
            continue
        flag, equals, value = argument.partition("=")
        flag = canonical(flag)
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        sentence = _refused_flag(flag) or _refused_value(flag, value if equals else following)
        if sentence:
            yield sentence


def canonical(flag: str) -> str:
    """The flag without a JSON key or list mark behind it, and with dashes: `--a_b.c` and `--a_b+` are `--a-b`."""
    return flag.partition(".")[0].rstrip("+").replace("_", "-")


def _refused_flag(flag: str) -> str | None:
    if flag in _REFUSED:
        return f"{flag} {_REFUSED[flag]}"
    for short in _ONE_LETTER:
        if not flag.startswith("--") and flag.startswith(short):
            return f"{flag} is read as {short} {flag.removeprefix(short)}: {short} {_REFUSED[short]}"
    full = _completed(flag, _REFUSED)
    return f"{flag} is read as {full}: {full} {_REFUSED[full]}" if full else None


def _refused_value(flag: str, value: str) -> str | None:
    full = _completed(flag, REFUSED_VALUES)
    reason = REFUSED_VALUES[full].get(value.lower()) if full else None
    return f"{full} {value} {reason}" if reason else None


def _completed(flag: str, names: Sequence[str] | dict[str, str] | dict[str, dict[str, str]]) -> str | None:
    """The first of the names that the flag is, or might abbreviate."""
    if flag in EXACT_ALLOWED or flag in ("-", "--"):
        return None
    return next((name for name in names if name.startswith(flag)), None)
