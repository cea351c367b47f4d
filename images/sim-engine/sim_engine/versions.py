"""vLLM versions as comparable tuples; which one is played is SIM_VLLM_VERSION."""

Version = tuple[int, ...]

LATEST = "0.32.0"


def parse(text: str) -> Version:
    """`0.10.2` as (0, 10, 2).

    Raises:
        ValueError: not numbers joined by dots.
    """
    parts = text.split(".")
    if not parts or not all(part.isdigit() for part in parts):
        raise ValueError(f"{text!r} is not a vLLM version such as {LATEST}")
    return tuple(int(part) for part in parts)


def between(version: Version, *, since: str | None, until: str | None) -> bool:
    """Whether something that exists from `since` to `until`, both included, exists in `version`."""
    return (since is None or version >= parse(since)) and (until is None or version <= parse(until))
