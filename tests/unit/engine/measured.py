"""Engines that this project measured (tests/engine/measured): the memory plan is held against each of them."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmfleet.commands.inputs import BUILT_IN
from llmfleet.engine.memory.inputs import Gpu, Setup
from llmfleet.engine.models.architecture import Architecture, read
from llmfleet.engine.version import NEWEST_KNOWN, parse

MEASURED = Path(__file__).parents[2] / "engine" / "measured"
DEFAULT_UTILIZATION = 0.92
"""Of the vLLM that was measured."""


H200: dict[str, Any] = {
    "name": "llama-3.1-8b len-8192",
    "model": "llama-3.1-8b",
    "argv": ["--max-model-len", "8192"],
    "vllm": "0.26.0",
    "gpu": "NVIDIA H200",
    "kv_cache_tokens": 922064,
}
"""Measured before the others, on another GPU."""


@dataclass(frozen=True)
class Measured:
    """One start of an engine, with random weights."""

    name: str
    architecture: Architecture
    setup: Setup
    gpu: Gpu
    tokens: int | None
    """What the KV cache holds; None: the engine did not start."""
    row: dict[str, Any]
    """All that was written down."""


def measured_runs() -> list[Measured]:
    """Every start; empty where nothing was measured."""
    path = MEASURED / "gpu_kv_cache.json"
    return [_run(row) for row in (*(json.loads(path.read_text()) if path.exists() else ()), H200)]


def _run(row: dict[str, Any]) -> Measured:
    config = json.loads((MEASURED / "models" / f"{row['model']}.json").read_text())
    version = parse(row["vllm"]) or NEWEST_KNOWN
    gpu = _gpu(row["gpu"])
    return Measured(
        name=f"{row['name']}, vLLM {version.major}.{version.minor}, {gpu.name}",
        architecture=read(config),
        setup=_setup(row["argv"], version=version),
        gpu=gpu,
        tokens=None if "refusal" in row else int(row["kv_cache_tokens"]),
        row=row,
    )


def _gpu(product: str) -> Gpu:
    """The chart's profile of an NVIDIA product name."""
    profiles = {profile["name"]: profile for profile in json.loads(BUILT_IN.read_text())["gpuProfiles"]}
    name = next(name for name in profiles if name.partition("-")[0].upper() in product.upper().split())
    major, minor = profiles[name]["computeCapability"].split(".")
    return Gpu(name=name, memory_gib=profiles[name]["memoryGiB"], capability=(int(major), int(minor)))


def _setup(argv: list[str], **more: Any) -> Setup:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--quantization")
    parser.add_argument("--kv-cache-dtype", dest="kv_cache_dtype")
    parser.add_argument("--tensor-parallel-size", dest="tensor_parallel", type=int, default=1)
    parser.add_argument("--gpu-memory-utilization", dest="utilization", type=float, default=DEFAULT_UTILIZATION)
    parser.add_argument("--max-model-len", dest="max_model_len", type=int)
    parser.add_argument("--max-num-seqs", dest="max_num_seqs", type=int)
    parser.add_argument("--max-num-batched-tokens", dest="max_num_batched_tokens", type=int)
    parser.add_argument("--enforce-eager", dest="eager", action="store_true")
    parser.add_argument("--enable-lora", dest="may_need_more", action="store_true")
    known, _other = parser.parse_known_args(argv)  # others say nothing that the plan knows of
    return Setup(**vars(known), **more)
