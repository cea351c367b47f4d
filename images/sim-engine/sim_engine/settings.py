"""From flags and environment to an engine's configuration, with the start-up errors of the real one.

`flags.py` -> here -> `engine.py` and `server.py`. All environment variables are read in this module.
"""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass

from llmfleet.sim.capacity import (
    Capacity,
    Memory,
    capacity,
    default_max_num_batched_tokens,
    default_max_num_seqs,
    kv_bytes_per_token,
    weights_bytes_per_gpu,
)
from llmfleet.sim.profiles import GIB, PROFILES, Profile
from llmfleet.sim.sequence import Limits
from llmfleet.sim.steptime import StepTime
from sim_engine.faults import Fault, parse_faults
from sim_engine.flags import REFUSED
from sim_engine.versions import LATEST, Version, parse


class StartError(Exception):
    """The engine cannot start with these settings; the process ends with code 1, as vLLM does."""


@dataclass(frozen=True, slots=True)
class SimSettings:
    """What the environment says.

    Attributes:
        profile: SIM_PROFILE, a name of llmfleet.sim.profiles.
        gpu_memory_gib: SIM_GPU_MEMORY_GIB, one GPU's total; default the profile's.
        time_scale: SIM_TIME_SCALE, how many times as fast as the profile the engine is.
        startup_seconds: SIM_STARTUP_SECONDS from process start to the first accepted connection.
        tick_seconds: SIM_TICK_SECONDS, the shortest time between two wake-ups of the engine.
        output_tokens: SIM_OUTPUT_TOKENS, mean length at which an answer ends by itself.
        version: SIM_VLLM_VERSION, whose metric names and flags are played.
        start_error: SIM_START_ERROR, the words with which every start fails; empty: none.
        faults: SIM_FAULTS.
        control: SIM_CONTROL, whether /sim/fault and /sim/state exist.
        cache_dirs: VLLM_CACHE_ROOT and HF_HOME, which must be writable.
        log_stats_interval: VLLM_LOG_STATS_INTERVAL in seconds.
        api_key: VLLM_API_KEY.
        allow_long: VLLM_ALLOW_LONG_MAX_MODEL_LEN.
    """

    profile: Profile
    gpu_memory_gib: float
    time_scale: float
    startup_seconds: float
    tick_seconds: float
    output_tokens: int
    version: str
    start_error: str
    faults: tuple[Fault, ...]
    control: bool
    cache_dirs: tuple[str, ...]
    log_stats_interval: float
    api_key: str
    allow_long: bool

    @property
    def parsed_version(self) -> Version:
        """The version as numbers."""
        return parse(self.version)


def from_environment(env: Mapping[str, str]) -> SimSettings:
    """Read the environment.

    Raises:
        StartError: a variable of this server has an impossible value.
    """
    try:
        profile = PROFILES[env.get("SIM_PROFILE", "h200-8b")]
        settings = SimSettings(
            profile=profile,
            gpu_memory_gib=float(env.get("SIM_GPU_MEMORY_GIB", profile.gpu_memory_gib)),
            time_scale=float(env.get("SIM_TIME_SCALE", "1")),
            startup_seconds=float(env.get("SIM_STARTUP_SECONDS", "2")),
            tick_seconds=float(env.get("SIM_TICK_SECONDS", "0.02")),
            output_tokens=int(env.get("SIM_OUTPUT_TOKENS", "256")),
            version=env.get("SIM_VLLM_VERSION", LATEST),
            start_error=env.get("SIM_START_ERROR", ""),
            faults=parse_faults(env.get("SIM_FAULTS", "")),
            control=env.get("SIM_CONTROL", "") == "1",
            cache_dirs=tuple(env[name] for name in ("VLLM_CACHE_ROOT", "HF_HOME") if env.get(name)),
            log_stats_interval=float(env.get("VLLM_LOG_STATS_INTERVAL", "10")),
            api_key=env.get("VLLM_API_KEY", ""),
            allow_long=env.get("VLLM_ALLOW_LONG_MAX_MODEL_LEN", "") == "1",
        )
        parse(settings.version)
    except KeyError as error:
        raise StartError(f"SIM_PROFILE {error} is not one of {', '.join(PROFILES)}") from None
    except ValueError as error:
        raise StartError(f"bad SIM_ or VLLM_ variable: {error}") from None
    if min(settings.time_scale, settings.gpu_memory_gib, settings.output_tokens) <= 0:
        raise StartError("SIM_TIME_SCALE, SIM_GPU_MEMORY_GIB and SIM_OUTPUT_TOKENS must be positive")
    return settings


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Everything the engine and its API server need to know, resolved."""

    model: str
    served_names: tuple[str, ...]
    api_keys: tuple[str, ...]
    host: str | None
    port: int
    max_model_len: int
    limits: Limits
    capacity: Capacity
    memory: Memory
    weights_bytes: int
    step_time: StepTime
    shutdown_timeout: float
    stream_interval: int
    max_queued_requests: int | None
    max_queued_tokens: int | None
    log_stats: bool
    access_log: bool
    quiet_paths: frozenset[str]


def resolve(args: argparse.Namespace, sim: SimSettings) -> EngineConfig:
    """Size the engine as vLLM's start does.

    Raises:
        StartError: it does not fit, or asks for what this server does not do.
    """
    _refuse_unsupported(args)
    _check_cache_dirs(sim.cache_dirs)
    memory = _memory(args, sim)
    cache = capacity(sim.profile, memory)
    max_model_len = _max_model_len(args, sim, memory, cache)
    quiet = args.disable_access_log_for_endpoints if "disable_access_log_for_endpoints" in args else None
    keys = tuple(args.api_key or ([sim.api_key] if sim.api_key else []))
    return EngineConfig(
        model=args.model,
        served_names=tuple(args.served_model_name or [args.model]),
        api_keys=keys,
        host=args.host,
        port=args.port if args.port is not None else 8000,
        max_model_len=max_model_len,
        limits=_limits(args, sim, cache),
        capacity=cache,
        memory=memory,
        weights_bytes=weights_bytes_per_gpu(sim.profile, memory),
        step_time=sim.profile.step_time(memory.tensor_parallel).faster(sim.time_scale),
        shutdown_timeout=getattr(args, "shutdown_timeout", None) or 0,
        stream_interval=args.stream_interval or 1,
        max_queued_requests=getattr(args, "max_num_queued_reqs", None),
        max_queued_tokens=getattr(args, "max_num_queued_tokens", None),
        log_stats=not args.disable_log_stats,
        access_log=not args.disable_uvicorn_access_log,
        quiet_paths=frozenset((quiet or "").split(",")),
    )


def _refuse_unsupported(args: argparse.Namespace) -> None:
    used = [name for name in REFUSED if getattr(args, name, None)]
    if used:
        raise StartError(f"sim-engine does not do --{', --'.join(used).replace('_', '-')}")
    if (args.data_parallel_size or 1) != 1:
        raise StartError("sim-engine plays one engine; --data-parallel-size must be 1")


def _check_cache_dirs(paths: tuple[str, ...]) -> None:
    for path in paths:
        try:
            os.makedirs(path, exist_ok=True)  # noqa: PTH103 - a string from the environment, used once
        except OSError as error:
            raise StartError(f"{type(error).__name__}: {error}") from None
        if not os.access(path, os.W_OK):
            raise StartError(f"PermissionError: [Errno 13] Permission denied: {path!r}")


def _memory(args: argparse.Namespace, sim: SimSettings) -> Memory:
    default_utilization = 0.92 if sim.parsed_version >= (0, 20) else 0.9
    tensor_parallel = args.tensor_parallel_size or 1
    heads = sim.profile.model.attention_heads
    if heads % tensor_parallel:
        raise StartError(
            f"Total number of attention heads ({heads}) must be divisible by tensor parallel size ({tensor_parallel})."
        )
    return Memory(
        memory_gib=sim.gpu_memory_gib,
        utilization=args.gpu_memory_utilization or default_utilization,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=args.pipeline_parallel_size or 1,
        quantization=args.quantization,
        kv_cache_dtype=args.kv_cache_dtype or "auto",
        block_size=args.block_size or 16,
        kv_cache_bytes=args.kv_cache_memory_bytes,
        blocks_override=args.num_gpu_blocks_override,
    )


def _max_model_len(args: argparse.Namespace, sim: SimSettings, memory: Memory, cache: Capacity) -> int:
    """The length asked for, or the model's own; `auto` takes what fits."""
    longest = sim.profile.model.max_position
    wanted: int = longest if args.max_model_len in {None, -1} else args.max_model_len
    if wanted > longest and not sim.allow_long:
        raise StartError(
            f"User-specified max_model_len ({wanted}) is greater than the derived max_model_len "
            f"(max_position_embeddings={longest} or model_max_length=None in model's config.json)."
        )
    usable = (cache.blocks - 1) * cache.block_size
    if usable < cache.block_size:
        raise StartError(
            "No available memory for the cache blocks. "
            "Try increasing `gpu_memory_utilization` when initializing the engine."
        )
    if wanted <= usable:
        return wanted
    if args.max_model_len == -1:
        return usable
    needed, have = (tokens * kv_bytes_per_token(sim.profile, memory) / GIB for tokens in (wanted, usable))
    raise StartError(
        f"To serve at least one request with the model's max seq len ({wanted}), ({needed:.2f} GiB KV cache is needed, "
        f"which is larger than the available KV cache memory ({have:.2f} GiB). Based on the available memory, the "
        f"estimated maximum model length is {usable}. Try increasing `gpu_memory_utilization` or decreasing "
        "`max_model_len` when initializing the engine."
    )


def _limits(args: argparse.Namespace, sim: SimSettings, cache: Capacity) -> Limits:
    seqs = args.max_num_seqs or default_max_num_seqs(sim.profile, sim.gpu_memory_gib)
    active = getattr(args, "max_num_active_seqs", None)
    tokens = args.max_num_batched_tokens or max(seqs, default_max_num_batched_tokens(sim.profile, sim.gpu_memory_gib))
    reserve = getattr(args, "scheduler_reserve_full_isl", None)
    try:
        return Limits(
            blocks=cache.blocks,
            block_size=cache.block_size,
            max_num_seqs=min(seqs, active or seqs),
            max_num_batched_tokens=tokens,
            whole_prompt_must_fit=sim.parsed_version >= (0, 19) if reserve is None else reserve,
        )
    except ValueError as error:
        raise StartError(str(error)) from None
