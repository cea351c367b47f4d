"""Where the memory of a GPU goes when the real vLLM starts: the figures that the memory plan is judged by.

Each case is a model's config.json (measured/models/) and flags (measured/cases.json). The engine is built as `vllm
serve` builds it (its own parser, the server's defaults, profiling, compilation, CUDA graphs) with weights of random
numbers, so nothing is downloaded. One process a case, one after the other: a second program on the GPU falsifies it.
Needs vLLM and a GPU with nothing else on it: `python tests/engine/measure_kv_cache.py`.
"""

import argparse
import datetime as dt
import functools
import importlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent / "measured"
SERVE = ["--load-format", "dummy", "--skip-tokenizer-init"]
PRELOAD = ["vllm.entrypoints.openai.cli_args", "vllm.v1.engine.core", "vllm.v1.worker.gpu_worker"]
RESTART = " restart"  # a case of this ending starts with the compile cache of the case without it
LAST_WORDS = 4000  # characters of a refusal kept

# What only the log says; the first group is the value.
LOGGED = {
    "kv_cache_tokens": re.compile(r"GPU KV cache size: ([\d,]+) tokens"),
    "max_concurrency": re.compile(r"Maximum concurrency for [\d,]+ tokens per request: ([\d.]+)x"),
    "cudagraph_actual_gib": re.compile(r"Graph capturing finished in \d+ secs, took ([\d.]+) GiB"),
    "model_loading_gib": re.compile(r"Model loading took ([\d.]+) GiB"),
    "compile_seconds": re.compile(r"torch\.compile took ([\d.]+) s in total"),
}


def worker_figures(wrapper: Any) -> dict[str, Any]:
    """Bytes as one worker of the engine counted them; runs inside the worker."""
    worker = getattr(wrapper, "worker", wrapper)
    snapshot = getattr(worker, "init_snapshot", None)
    runner = getattr(worker, "model_runner", None)
    generation = "V2" if ".gpu." in type(runner).__module__ else "V1"
    cuda = importlib.import_module("torch").cuda
    return {
        "gpu_total_bytes": getattr(snapshot, "total_memory", None),
        "free_at_start_bytes": getattr(snapshot, "free_memory", None),
        "requested_bytes": getattr(worker, "requested_memory", None),
        "weights_bytes": getattr(runner, "model_memory_usage", None),
        "activation_peak_bytes": getattr(worker, "peak_activation_memory", None),
        "non_torch_bytes": getattr(worker, "non_torch_memory", None),
        "cudagraph_estimate_bytes": getattr(worker, "cudagraph_memory_estimate", None),
        "available_kv_cache_bytes": getattr(worker, "available_kv_cache_memory_bytes", None),
        "allocated_peak_bytes": cuda.max_memory_allocated(),  # since profiling began; the KV cache is in it
        "free_at_end_bytes": cuda.mem_get_info()[0],
        "model_runner": generation if runner else None,
    }


def kv_groups(kv_cache_config: Any) -> list[dict[str, Any]]:
    """The layers that share one block table: how many, of what kind, and the bytes of a block of one layer."""
    return [
        {
            "layers": len(group.layer_names),
            "kind": type(group.kv_cache_spec).__name__,
            "block_size": group.kv_cache_spec.block_size,
            "page_size_bytes": group.kv_cache_spec.page_size_bytes,
        }
        for group in kv_cache_config.kv_cache_groups
    ]


def engine_config(argv: list[str]) -> Any:
    """The configuration that `vllm serve` makes of these flags, its defaults by GPU included."""
    utils = importlib.import_module("vllm.utils.argparse_utils")
    parser = importlib.import_module("vllm.entrypoints.openai.cli_args").make_arg_parser(utils.FlexibleArgumentParser())
    arguments = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs.from_cli_args(parser.parse_args(argv))
    context = importlib.import_module("vllm.usage.usage_lib").UsageContext.OPENAI_API_SERVER
    return arguments.create_engine_config(usage_context=context)


def settings(config: Any) -> dict[str, Any]:
    """The settings that decide about memory, as the engine took them."""
    return {
        "dtype": str(config.model_config.dtype).removeprefix("torch."),
        "quantization": config.model_config.quantization,
        "kv_cache_dtype": config.cache_config.cache_dtype,
        "gpu_memory_utilization": config.cache_config.gpu_memory_utilization,
        "max_model_len": config.model_config.max_model_len,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "tensor_parallel_size": config.parallel_config.tensor_parallel_size,
        "enforce_eager": config.model_config.enforce_eager,
        "cudagraph_mode": str(config.compilation_config.cudagraph_mode),
        "largest_cudagraph": max(config.compilation_config.cudagraph_capture_sizes or [0]),
    }


def start_engine(row: dict[str, Any], argv: list[str]) -> None:
    """Start the engine in this process and write into the row what it found, also when it refuses half way."""
    config = engine_config(argv)
    row |= settings(config)
    executor = importlib.import_module("vllm.v1.executor").Executor.get_class(config)
    core_class = importlib.import_module("vllm.v1.engine.core").EngineCore
    core = core_class.__new__(core_class)
    try:
        core.__init__(config, executor, log_stats=False)
        row |= {
            "num_gpu_blocks": config.cache_config.num_gpu_blocks,
            "block_size": config.cache_config.block_size,
            "kv_groups": kv_groups(core.scheduler.kv_cache_config),
        }
    finally:
        if hasattr(core, "model_executor"):
            row["workers"] = core.model_executor.collective_rpc(worker_figures)
            core.model_executor.shutdown()


def measure(case: dict[str, Any], model: Path, log: Path, answer: Connection) -> None:
    """Body of a case's process: run it with all output in the log, send the row."""
    with log.open("wb") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    row: dict[str, Any] = {}
    try:
        start_engine(row, ["--model", str(model), *SERVE, *case["argv"]])
    except BaseException as error:  # noqa: BLE001 - every refusal is a result here
        row["refusal"] = f"{type(error).__name__}: {error}"[-LAST_WORDS:]
    sys.stdout.flush()
    answer.send(row)
    os._exit(0)  # the driver takes the memory back faster than the engine's own end


def logged(log: Path) -> dict[str, Any]:
    """The figures of LOGGED that stand in the log, and whether compiled code was taken from an earlier start."""
    text = log.read_text(errors="replace")
    found = {name: pattern.search(text) for name, pattern in LOGGED.items()}
    figures: dict[str, Any] = {name: json.loads(match[1].replace(",", "")) for name, match in found.items() if match}
    if "compile_seconds" in figures:
        figures["compile_cache"] = "warm" if "Directly load" in text else "cold"
    return figures


def model_directory(case: dict[str, Any], root: Path) -> Path:
    """Where the case's config.json lies; the compile cache goes by the path, so only a restart finds it again."""
    directory = root / str(case["name"]).removesuffix(RESTART).replace(" ", "_")
    directory.mkdir(exist_ok=True)
    shutil.copy(HERE / "models" / f"{case['model']}.json", directory / "config.json")
    return directory


def run(case: dict[str, Any], *, model: Path, log: Path, timeout: float, method: str) -> dict[str, Any]:
    """One case in a process of its own, its row with the seconds that it took."""
    begin = time.monotonic()
    here, there = multiprocessing.Pipe(duplex=False)
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=measure, args=(case, model, log, there))
    process.start()
    there.close()
    try:
        row = here.recv() if here.poll(timeout) else {"refusal": f"no answer within {timeout:.0f} s; see {log.name}"}
    except EOFError:
        row = {"refusal": f"the process died; see {log.name}"}
    process.kill()
    process.join()
    return row | logged(log) | {"seconds": round(time.monotonic() - begin, 1)}


@functools.cache
def versions() -> dict[str, str]:
    """The software and the GPU that the figures belong to."""
    torch = importlib.import_module("torch")
    nvml = importlib.import_module("vllm.third_party.pynvml")
    nvml.nvmlInit()
    return {
        "vllm": importlib.import_module("vllm").__version__,
        "torch": torch.__version__,
        "gpu": nvml.nvmlDeviceGetName(nvml.nvmlDeviceGetHandleByIndex(0)),
        "driver": nvml.nvmlSystemGetDriverVersion(),
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def sentence(row: dict[str, Any]) -> str:
    """One line of progress."""
    if "refusal" in row:
        return f"refused after {row['seconds']} s: {row['refusal'].splitlines()[0][:150]}"
    return f"{row['num_gpu_blocks']:,} blocks, {row.get('kv_cache_tokens', 0):,} tokens, {row['seconds']} s"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE / "gpu_kv_cache.json", help="table, written after each case")
    parser.add_argument("--logs", type=Path, default=Path("logs"), help="directory for the engine's log of each case")
    parser.add_argument("--cases", type=Path, default=HERE / "cases.json", help="list of {name, model, argv}")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="names of cases; default: all")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one case")
    parser.add_argument("--budget", type=float, default=float("inf"), help="start no case after this many seconds")
    parser.add_argument("--start-method", choices=["fork", "spawn"], default="fork", help="fork imports vLLM only once")
    parser.add_argument("--list", action="store_true", help="print the cases and end")
    return parser.parse_args()


def store(table: Path, row: dict[str, Any]) -> None:
    """Put the row into the table, in place of an older row of its name."""
    rows = json.loads(table.read_text()) if table.exists() else []
    rows = [other for other in rows if other["name"] != row["name"]] + [row]
    table.write_text("[\n" + ",\n".join(json.dumps(one) for one in rows) + "\n]\n")


def measure_all(cases: list[dict[str, Any]], options: argparse.Namespace, models: Path, begin: float) -> None:
    """Measure one case after the other and write each row at once."""
    for number, case in enumerate(cases, 1):
        if time.monotonic() - begin > options.budget:
            print(f"time is up before {case['name']}")
            return
        found = run(
            case,
            model=model_directory(case, models),
            log=options.logs / f"{case['name'].replace(' ', '_')}.log",
            timeout=options.timeout,
            method=options.start_method,
        )
        store(options.out, case | versions() | found)
        print(f"[{number}/{len(cases)}] {case['name']}: {sentence(found)}", flush=True)


def main() -> None:
    """Measure the chosen cases, one after the other."""
    options, begin = arguments(), time.monotonic()
    cases = [c for c in json.loads(options.cases.read_text()) if options.only is None or c["name"] in options.only]
    if options.list:
        print(*(f"{case['name']:34} {case['model']:24} {' '.join(case['argv'])}" for case in cases), sep="\n")
        return
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for module in PRELOAD:
        importlib.import_module(module)
    options.logs.mkdir(parents=True, exist_ok=True)
    print(f"{versions()}; vLLM imported after {time.monotonic() - begin:.0f} s", flush=True)
    with tempfile.TemporaryDirectory() as models:
        measure_all(cases, options, Path(models), begin)


if __name__ == "__main__":
    main()
