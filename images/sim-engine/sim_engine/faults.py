"""Failures on demand, from SIM_FAULTS at the start or from POST /sim/fault while serving.

A fault is written NAME or NAME=VALUE, in SIM_FAULTS also with @SECONDS counted from ready; commas join several:
`slow-start=60,crash@120`, `metrics=nan@30`.
"""

import re
from dataclasses import dataclass, field

METRICS_MODES = frozenset({"off", "nan", "frozen", "reset"})
_VALUE = {
    "slow-start": r"\d+(\.\d+)?",
    "start-error": None,
    "crash": r"\d{1,3}",
    "hang": None,
    "metrics": "|".join(sorted(METRICS_MODES)),
    "clear": None,
}
_NEEDS_VALUE = frozenset({"slow-start", "metrics"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure and when it happens, in seconds after the server is ready."""

    name: str
    value: str = ""
    after: float = 0.0


@dataclass(slots=True)
class Faults:
    """What is failing right now. `metrics` is one of METRICS_MODES or empty."""

    hang: bool = False
    metrics: str = ""
    crash_code: int | None = None
    frozen_page: bytes = field(default=b"", repr=False)


def parse_fault(text: str) -> Fault:
    """One fault.

    Raises:
        ValueError: the name, value or time is not one of those above.
    """
    match = re.fullmatch(r"([a-z-]+)(?:=([^@]*))?(?:@(\d+(?:\.\d+)?))?", text.strip())
    if not match or match[1] not in _VALUE:
        raise ValueError(f"{text!r} is not a fault; there are {', '.join(_VALUE)}")
    name, value, after = match[1], match[2], float(match[3] or 0)
    pattern = _VALUE[name]
    if value is None and name in _NEEDS_VALUE:
        raise ValueError(f"fault {name!r} needs a value matching {pattern}")
    if value is not None and (pattern is None or not re.fullmatch(pattern, value)):
        raise ValueError(f"fault {name!r} does not take the value {value!r}")
    return Fault(name, value or "", after)


def parse_faults(text: str) -> tuple[Fault, ...]:
    """SIM_FAULTS: faults joined by commas.

    Raises:
        ValueError: one of them is not a fault.
    """
    return tuple(parse_fault(part) for part in text.split(",") if part.strip())
