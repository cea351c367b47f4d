"""What an engine says of itself: the few numbers that the operator needs, read from vLLM's Prometheus page.

First station of the autoscaler: page -> EngineMetrics -> signals -> policy. A page is 52 kB and 630 lines; about twenty
lines matter, so one expression finds those by their names and only they are taken apart (tests/bench/bench_metrics.py
has the figures). The text comes from a tenant's pod: nothing in it can raise anything but PageError, an unknown number
is None and never 0, and counts are clamped.

Names and meanings: vLLM `v1/metrics/loggers.py`, 0.7.3 to 0.33.0. KV usage is 0..1 in spite of its name; it was
`vllm:gpu_cache_usage_perc` until 0.11 and is `vllm:kv_cache_usage_perc` since 0.9.2. There is one series for each
engine (data-parallel rank); before 0.8.5 there is no `engine` label. Some simulators write counters without `_total`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf

KV_USAGE = ("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
RUNNING = ("vllm:num_requests_running",)
WAITING = ("vllm:num_requests_waiting",)
WAITING_BY_REASON = "vllm:num_requests_waiting_by_reason"
PREEMPTIONS = ("vllm:num_preemptions_total", "vllm:num_preemptions")
PROMPT_TOKENS = ("vllm:prompt_tokens_total", "vllm:prompt_tokens")
GENERATION_TOKENS = ("vllm:generation_tokens_total", "vllm:generation_tokens")
PREFIX_CACHE_HITS = ("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total", "vllm:prefix_cache_hits")
STEPS = ("vllm:iteration_tokens_total_count",)
STEP_TOKENS = ("vllm:iteration_tokens_total_sum",)
FINISHED = ("vllm:request_success_total", "vllm:request_success")
CACHE_CONFIG = "vllm:cache_config_info"
PROCESS_START = ("process_start_time_seconds",)
PROCESS_CPU = ("process_cpu_seconds_total",)

_COUNTERS = (PREEMPTIONS, PROMPT_TOKENS, GENERATION_TOKENS, PREFIX_CACHE_HITS, STEPS, STEP_TOKENS, FINISHED)
WANTED = frozenset(
    {WAITING_BY_REASON, CACHE_CONFIG}.union(KV_USAGE, RUNNING, WAITING, PROCESS_START, PROCESS_CPU, *_COUNTERS)
)
"""Every name that is read; all other lines are passed over."""

MAX_SERIES = 4096
"""Most lines of wanted names on a page; 128 engines in one pod would need about 3,000."""
MAX_REQUESTS = 1e6
"""Upper clamp of running and waiting requests of one engine."""
MAX_COUNT = 2.0**53
"""Upper clamp of counters: beyond it a double no longer counts by ones."""

_OWN = "vllm:"
_NAMES = "|".join(sorted(name for name in WANTED if not name.startswith(_OWN)))
_OWN_NAMES = "|".join(sorted(name.removeprefix(_OWN) for name in WANTED if name.startswith(_OWN)))
_LINE = re.compile(rf"\n({_NAMES}|{_OWN}(?:{_OWN_NAMES}))(?:[^\S\n]*(?=\{{)|(?=(?: [^{{\n]*)?\n))([^\n]*)")
"""A line of a wanted name between two line ends: the name, and what follows. Labels may come after spaces, a value
only after one. It begins with a plain character, and then few ways are open: both make the search several times as
fast."""
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_MAX_DIGITS = 15
_MAX_WORD = 32

Series = dict[str, list[tuple[str, float]]]
"""Name -> (label text, value) of each of its lines."""


class PageError(ValueError):
    """The page cannot be an engine's: it has more series than any engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMetrics:
    """The numbers of one pod, all its engines together. None is unknown: absent, NaN, infinite, or out of range."""

    kv_usage: float | None = None
    """KV-cache usage of the fullest engine, 0..1; blocks that only the prefix cache holds count as free."""
    running: float | None = None
    """Requests in execution."""
    waiting: float | None = None
    """Requests in the queue."""
    waiting_for_capacity: float | None = None
    """Those of the queue that wait for KV cache or a batch slot; since vLLM 0.20."""
    preemptions: float | None = None
    """Counter: requests thrown out of the KV cache."""
    prompt_tokens: float | None = None
    """Counter: prompt tokens, those found in the prefix cache included."""
    generation_tokens: float | None = None
    """Counter: tokens generated."""
    prefix_cache_hits: float | None = None
    """Counter: prompt tokens found in the prefix cache."""
    steps: float | None = None
    """Counter: engine steps that gave output. The heartbeat: /health does not see a hang."""
    step_tokens: float | None = None
    """Counter: tokens of those steps."""
    finished: float | None = None
    """Counter: requests finished, for whatever reason."""
    gpu_blocks: int | None = None
    """KV-cache blocks of all engines together."""
    block_size: int | None = None
    """Tokens in a block."""
    kv_size_tokens: int | None = None
    """KV-cache tokens of all engines together, as vLLM 0.24 and later state them."""
    kv_cache_dtype: str | None = None
    """Type of the KV cache, as given at start: auto where nothing was."""
    prefix_caching: bool | None = None
    """Whether prompts' KV cache is kept for others that begin alike."""
    process_start: float | None = None
    """Unix time of the process's start, seconds."""
    process_cpu: float | None = None
    """CPU seconds that the API server has used: moves with each look, whatever the engine does. Absent with several
    API servers."""
    malformed: int = 0
    """Lines of wanted names that could not be read."""

    @property
    def kv_cache_tokens(self) -> int | None:
        """Tokens that the KV cache holds; before vLLM 0.24 blocks times block size (too much for hybrid models)."""
        if self.kv_size_tokens is not None:
            return self.kv_size_tokens
        if self.gpu_blocks is None or self.block_size is None:
            return None
        return self.gpu_blocks * self.block_size

    @property
    def missing(self) -> tuple[str, ...]:
        """The gauges that scaling cannot do without and that are unknown here, by vLLM's names."""
        gauges = ((KV_USAGE, self.kv_usage), (RUNNING, self.running), (WAITING, self.waiting))
        return tuple(names[0] for names, value in gauges if value is None)


def parse(page: str) -> EngineMetrics:
    """Read an engine's page in the Prometheus text format (0.0.4).

    Raises:
        PageError: more than MAX_SERIES lines of wanted names.
    """
    series, malformed = _collect(page)
    configs = [dict(_LABEL.findall(labels)) for labels, _ in series.get(CACHE_CONFIG, [])]
    blocks, block_size, size = _cache_size(configs)
    return EngineMetrics(
        kv_usage=_usage(_first(series, KV_USAGE)),
        running=_total(_first(series, RUNNING), most=MAX_REQUESTS),
        waiting=_total(_first(series, WAITING), most=MAX_REQUESTS),
        waiting_for_capacity=_total(_with_capacity(series.get(WAITING_BY_REASON, [])), most=MAX_REQUESTS),
        preemptions=_total(_first(series, PREEMPTIONS)),
        prompt_tokens=_total(_first(series, PROMPT_TOKENS)),
        generation_tokens=_total(_first(series, GENERATION_TOKENS)),
        prefix_cache_hits=_total(_first(series, PREFIX_CACHE_HITS)),
        steps=_total(_first(series, STEPS)),
        step_tokens=_total(_first(series, STEP_TOKENS)),
        finished=_total(_first(series, FINISHED)),
        gpu_blocks=blocks,
        block_size=block_size,
        kv_size_tokens=size,
        kv_cache_dtype=_same(configs, "cache_dtype"),
        prefix_caching={"True": True, "False": False}.get(_same(configs, "enable_prefix_caching") or ""),
        process_start=_total(_first(series, PROCESS_START)),
        process_cpu=_total(_first(series, PROCESS_CPU)),
        malformed=malformed,
    )


def _collect(page: str) -> tuple[Series, int]:
    """Pick the lines of wanted names; the second value counts those that cannot be read."""
    series: Series = {}
    malformed = 0
    for picked, line in enumerate(_LINE.finditer(f"\n{page}\n"), start=1):
        if picked > MAX_SERIES:
            raise PageError(f"more than {MAX_SERIES} series")
        name, rest = line.groups()
        read = _sample(rest)
        if read is None:
            malformed += 1
        else:
            series.setdefault(name, []).append(read)
    return series, malformed


def _sample(rest: str) -> tuple[str, float] | None:
    """Label text and value of what stands behind a name, or None where it is malformed.

    The last brace closes the labels, whatever braces stand in label values: behind it are only value and time.
    """
    labels = ""
    if rest.startswith("{"):
        labels, closed, rest = rest[1:].rpartition("}")
        if not closed:
            return None
    words = rest.split()
    if not 1 <= len(words) <= 2:  # noqa: PLR2004 (value, and perhaps a timestamp)
        return None
    try:
        return labels, float(words[0])
    except ValueError:
        return None


def _first(series: Series, names: Iterable[str]) -> list[float]:
    """Values of the first of these names that is on the page."""
    for name in names:
        if name in series:
            return [value for _, value in series[name]]
    return []


def _with_capacity(lines: list[tuple[str, float]]) -> list[float]:
    return [value for labels, value in lines if 'reason="capacity"' in labels]


def _usage(values: list[float]) -> float | None:
    """The fullest engine. One engine that gives nonsense makes the pod's usage unknown."""
    if not values or not all(0.0 <= value <= 1.0 for value in values):
        return None
    return max(values)


def _total(values: list[float], most: float = MAX_COUNT) -> float | None:
    """The sum over engines, each clamped to `most`."""
    total = 0.0
    for value in values:
        if not 0.0 <= value < inf:
            return None
        total += min(value, most)
    return total if values else None


def _cache_size(configs: list[dict[str, str]]) -> tuple[int | None, int | None, int | None]:
    """Blocks, block size and tokens: the front end states all engines' blocks on each line, but tokens per engine."""
    blocks = max(_integers(configs, "num_gpu_blocks"), default=None)
    block_size = max(_integers(configs, "block_size"), default=None)
    sizes = list(_integers(configs, "kv_cache_size_tokens"))
    return blocks, block_size, sum(sizes) if sizes else None


def _same(configs: list[dict[str, str]], label: str) -> str | None:
    """What all engines state alike."""
    values = {config.get(label, "") for config in configs}
    return values.pop()[:_MAX_WORD] or None if len(values) == 1 else None


def _integers(configs: list[dict[str, str]], label: str) -> Iterator[int]:
    for config in configs:
        text = config.get(label, "")
        if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
            yield int(text)
