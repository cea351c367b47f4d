"""Extra arguments are read as vLLM's parser reads them."""

import pytest

from llmfleet.api.reserved import refused_flags
from llmfleet.engine.arguments import refusals


@pytest.mark.parametrize("flag", list(refused_flags()))
def test_every_refused_flag_is_found(flag: str) -> None:
    assert [text.split()[0] for text in refusals(["--seed", "7", flag])] == [flag]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--tensor-par", "4"], "--tensor-par is read as --tensor-parallel-size: --tensor-parallel-size is owned"),
        (["--tensor_parallel_size=4"], "--tensor-parallel-size is owned by a field: set spec.gpu.tensorParallelSize"),
        (["--tensor_par=4"], "read as --tensor-parallel-size"),
        (["-tp=4"], "-tp is owned"),
        (["-t", "4"], "read as -tp"),
        (["-qfp8"], "-qfp8 is read as -q fp8: -q is owned by a field: set spec.engine.quantization"),
        (["-n2"], "-n2 is read as -n 2"),
        (["-r1"], "-r1 is read as -r 1"),
        (["--profiler-config.profiler=torch"], "--profiler-config is refused: it opens endpoints"),
        (["--profiler_config.a_b=1"], "--profiler-config is refused"),
        (["--middleware+=x"], "--middleware is refused"),
        (["--conf", "x.yaml"], "read as --config"),
        (["--api-k=x"], "read as --api-key"),
        (["--trust-remote"], "read as --trust-remote-code"),
        (["--tokenizer-rev=x"], "read as --tokenizer-revision"),
        (["--disable-log-s"], "read as --disable-log-stats"),
        (["--load-format", "pt"], "--load-format is owned by a field: set spec.engine.loadFormat"),
        (["--load-f=npcache"], "read as --load-format"),
        (["--spec-m=eagle"], "read as --spec-method"),
        (["-sc", "{}"], "-sc is owned by a field: set spec.engine.speculative"),
        (["--no-enable-prefix-caching"], "set spec.engine.prefixCaching"),
        (["--enable-pre"], "read as --enable-prefix-caching"),
        (["--lora-modules", "a=b"], "set spec.engine.lora"),
    ],
)
def test_what_might_be_read_as_a_refused_flag_is_refused(arguments: list[str], words: str) -> None:
    found = list(refusals(arguments))
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--async-scheduling"],
        ["--tokenizer", "org/name"],
        ["--tokenizer=org/name"],
        ["--tokenizer-mode=auto"],
        ["--kv-cache-dtype-skip-layers", "0"],
        ["--chat-template-content-format=string"],
        ["--seed", "-1"],
        ["--compilation-config.cudagraph_mode=NONE"],
        ["-cc.mode=3"],
        ["-O3"],
        ["-dcp", "2"],
        ["-ep"],
        ["--config-format=hf"],
        ["--quantization-config.x=1"],
        ["--default-chat-template-kwargs", "--- a text"],
        ["pt", "--seed=0"],
        ["-"],
        [],
    ],
)
def test_the_rest_is_free(arguments: list[str]) -> None:
    assert list(refusals(arguments)) == []


def test_each_refused_argument_is_named() -> None:
    assert len(list(refusals(["--model", "x", "--seed", "7", "--host=::", "-qfp8"]))) == 3
