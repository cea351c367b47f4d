"""From flags and environment to an engine, and the starts that fail as vLLM's do."""

from pathlib import Path

import pytest

from sim_engine.flags import parse_serve
from sim_engine.settings import EngineConfig, StartError, from_environment, resolve


def start(*flags: str, **env: str) -> EngineConfig:
    sim = from_environment(env)
    return resolve(parse_serve(["org/model", *flags], sim.parsed_version), sim)


def test_an_h200_by_default() -> None:
    config = start()
    assert (config.served_names, config.port, config.max_model_len) == (("org/model",), 8000, 131_072)
    assert (config.limits.max_num_seqs, config.limits.max_num_batched_tokens) == (1024, 8192)
    assert config.memory.utilization == 0.92
    assert config.capacity.tokens == pytest.approx(920_192, rel=0.005)
    assert config.step_time.alpha_ms == 4.9


def test_flags_and_environment_shape_the_engine() -> None:
    config = start(
        "--gpu-memory-utilization=0.9",
        "--max-model-len=auto",
        "--max-num-seqs=64",
        "--max-num-active-seqs=32",
        "--quantization=fp8",
        "--api-key",
        "one",
        "two",
        "--shutdown-timeout=30",
        "--no-scheduler-reserve-full-isl",
        SIM_GPU_MEMORY_GIB="16",
        SIM_TIME_SCALE="2",
        VLLM_API_KEY="from-env",
    )
    # 16 x 0.9 - 1.1 - 7.48 GiB at 128 KiB a token
    assert config.max_model_len == pytest.approx(47_700, rel=0.01)
    assert (config.limits.max_num_seqs, config.limits.max_num_batched_tokens) == (32, 2048)
    assert (config.api_keys, config.shutdown_timeout) == (("one", "two"), 30)
    assert config.step_time.alpha_ms == 2.45
    assert not config.limits.whole_prompt_must_fit


def test_old_versions_have_their_own_defaults() -> None:
    config = start(SIM_VLLM_VERSION="0.10.2", VLLM_API_KEY="secret")
    assert (config.memory.utilization, config.limits.whole_prompt_must_fit) == (0.9, False)
    assert (config.api_keys, config.shutdown_timeout) == (("secret",), 0)


@pytest.mark.parametrize(
    ("flags", "env", "message"),
    [
        (["--gpu-memory-utilization=0.1"], {}, "No available memory for the cache blocks"),
        (
            [],
            {"SIM_GPU_MEMORY_GIB": "24"},
            r"max seq len \(131072\), \(16.00 GiB KV .* \(6.0\d GiB\). .* estimated maximum model length is 49\d\d\d",
        ),
        (["--max-model-len=200000"], {}, r"User-specified max_model_len \(200000\) is greater than the derived"),
        (["--tensor-parallel-size=3"], {}, r"attention heads \(32\) must be divisible by tensor parallel size \(3\)"),
        (["--max-num-seqs=64", "--max-num-batched-tokens=32"], {}, r"max_num_batched_tokens \(32\) must be greater"),
        (["--data-parallel-size=2"], {}, "--data-parallel-size must be 1"),
        (["--ssl-keyfile=/x", "--uds=/y"], {}, "does not do --uds, --ssl-keyfile"),
        ([], {"SIM_PROFILE": "b300-8b"}, "SIM_PROFILE 'b300-8b' is not one of h200-8b"),
        ([], {"SIM_TIME_SCALE": "fast"}, "bad SIM_"),
        ([], {"SIM_TIME_SCALE": "0"}, "must be positive"),
        ([], {"SIM_VLLM_VERSION": "latest"}, "'latest' is not a vLLM version"),
        ([], {"SIM_FAULTS": "explode"}, "'explode' is not a fault"),
    ],
)
def test_starts_that_fail(*, flags: list[str], env: dict[str, str], message: str) -> None:
    with pytest.raises(StartError, match=message):
        start(*flags, **env)


def test_a_length_over_the_models_can_be_forced() -> None:
    assert start("--max-model-len=200000", VLLM_ALLOW_LONG_MAX_MODEL_LEN="1").max_model_len == 200_000


def test_cache_folders_must_be_writable(tmp_path: Path) -> None:
    start(VLLM_CACHE_ROOT=str(tmp_path / "made"), HF_HOME=str(tmp_path))
    assert (tmp_path / "made").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(StartError, match=r"(NotADirectory|FileExists)Error"):
        start(VLLM_CACHE_ROOT=str(tmp_path / "file" / "below"))
