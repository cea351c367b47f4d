"""Reading free-form arguments as vLLM's parser will read them, to find the flags that a tenant may not set.

The CRD's rule compares whole names. argparse is more generous, and so is vLLM on top of it: `--tensor-par` and `-t`
are abbreviations, `--max_model_len` is `--max-model-len`, `-qfp8` is `-q fp8`, `--profiler-config.x=1` sets a key of
`--profiler-config` (vLLM `utils/argparse_utils.py`). A flag is refused whenever it might be read as a refused one.
"""

from collections.abc import Iterable, Iterator, Sequence

from llmfleet.api.reserved import refused_flags
from llmfleet.engine.flags import EXACT_ALLOWED

_REFUSED = refused_flags()
_ONE_LETTER = tuple(flag for flag in _REFUSED if len(flag) == len("-q"))


def refusals(arguments: Sequence[str]) -> Iterator[str]:
    """One sentence for each argument that is refused, in their order."""
    for argument in arguments:
        if argument.startswith("-") and (sentence := _refused(canonical(argument.partition("=")[0]))):
            yield sentence


def canonical(flag: str) -> str:
    """The flag without a JSON key or list mark behind it, and with dashes: `--a_b.c` and `--a_b+` are `--a-b`."""
    return flag.partition(".")[0].rstrip("+").replace("_", "-")


def _refused(flag: str) -> str | None:
    if flag in _REFUSED:
        return f"{flag} {_REFUSED[flag]}"
    for short in _ONE_LETTER:
        if not flag.startswith("--") and flag.startswith(short):
            return f"{flag} is read as {short} {flag.removeprefix(short)}: {short} {_REFUSED[short]}"
    full = _completed(flag, _REFUSED)
    return f"{flag} is read as {full}: {full} {_REFUSED[full]}" if full else None


def _completed(flag: str, names: Iterable[str]) -> str | None:
    """The first of the names that the flag is, or might abbreviate."""
    if flag in EXACT_ALLOWED or flag in ("-", "--"):
        return None
    return next((name for name in names if name.startswith(flag)), None)
