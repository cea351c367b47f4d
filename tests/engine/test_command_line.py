"""Every command line that the operator writes is taken by the real parser, of four releases of vLLM.

Of 0.32.0 the configuration behind the parser is made too. Nothing differs there on a CPU: every golden object gets its
configuration, and what a CPU cannot do, such as fp8 weights, is found when weights are loaded, which no test here does.
"""

import functools
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmfleet.api.reserved import refused_flags
from llmfleet.api.settings import Settings
from llmfleet.api.v1alpha1 import LLMDeployment
from llmfleet.engine import command
from llmfleet.engine.checks import check
from llmfleet.engine.flags import CHAT_TEMPLATE_MOUNT, FIELDS, HOUSEKEEPING, Flag
from llmfleet.engine.known_flags import history, unknown
from llmfleet.engine.problem import Severity
from llmfleet.engine.version import Version, image_of, parse, version_of
from tests.engine import environment, tiny_model
from tests.golden.test_golden import CASES, SETTINGS, document, pod

VERSIONS = (*environment.PARSERS, environment.VERSION)
FLAGS = (*FIELDS, *HOUSEKEEPING)

REFUSED_BY_US = {"0.11.2": {"claim", "extra-args-and-env"}}
"""Release -> cases that the operator's own checks refuse for it: a length of auto, a flag of the tenant's too new."""
CHAT_TEMPLATE = f"--chat-template={CHAT_TEMPLATE_MOUNT}/"


@functools.cache
def everything() -> dict[str, dict[str, Any]]:
    """What the parsers say, by release; each is a process that imports vLLM, so all are asked at once and only once."""
    asked = [[*rendered(version).values(), *ALONE] for version in VERSIONS]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(VERSIONS, pool.map(ask, VERSIONS, asked), strict=True))


def judged(version: str) -> dict[str, Any]:
    """What the parser of a release says of each case's command line for that release, and of ALONE."""
    return everything()[version]


def ask(version: str, argvs: list[list[str]], *, configure: Path | None = None) -> dict[str, Any]:
    """Run parse.py in the environment, with the Python files of the release."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "USER": "vllm", "VLLM_NO_USAGE_STATS": "1"}
    if version != environment.VERSION:
        env["PYTHONPATH"] = str(environment.parser_folder(version))
    asked = json.dumps({"argvs": argvs, "configure": str(configure) if configure else None})
    script = Path(__file__).with_name("parse.py")
    argv = [str(environment.program("python")), str(script)]
    done = subprocess.run(argv, input=asked, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert answer["version"] == version
    return answer


def settings_for(version: str) -> Settings:
    """The golden settings with every image being of one release."""
    dumped = SETTINGS.model_dump(by_alias=True, mode="json")
    dumped["engine"] |= {"versions": {"*": version}}
    return Settings.parse(dumped)


@functools.cache
def rendered(version: str) -> dict[str, list[str]]:
    """Each case's arguments of `vllm serve` for a release, where the operator's checks let the spec pass.

    The parser looks whether the file of a chat template is there, which a ConfigMap would bring: it gets one that is.
    """
    found = {}
    for case in CASES:
        deployment = LLMDeployment.parse(document(case))
        if not any(problem.severity is Severity.ERROR for problem in check(deployment, settings_for(version))):
            name = deployment.metadata.name
            written = command.argv(deployment.spec, name=name, version=known(version))[len(command.COMMAND) :]
            found[case] = [f"--chat-template={__file__}" if CHAT_TEMPLATE in item else item for item in written]
    return found


def known(version: str) -> Version:
    """A release as numbers."""
    number = parse(version)
    assert number is not None
    return number


def golden(case: str) -> list[str]:
    """The arguments in a case's expected manifest, as the kubelet hands them on."""
    return [argument.replace("$$", "$") for argument in pod(case)["containers"][0]["args"]]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_command_line_is_parsed(version: str) -> None:
    """Each golden object, rendered for the release, unless the operator itself refuses it there."""
    argvs = rendered(version)
    errors = {case: parsed["error"] for case, parsed in zip(argvs, judged(version)["parsed"], strict=False)}
    assert set(CASES) - set(argvs) == REFUSED_BY_US.get(version, set())
    assert {case: error for case, error in errors.items() if error} == {}


def test_the_golden_manifests_hold_these_command_lines() -> None:
    """The very arguments in the manifests are those that were parsed, each of the release that its image is."""
    for case in CASES:
        deployment = LLMDeployment.parse(document(case))
        version = version_of(image_of(deployment.spec, SETTINGS), SETTINGS)
        assert version is not None
        written = command.argv(deployment.spec, name=deployment.metadata.name, version=version)
        assert golden(case) == written[len(command.COMMAND) :]
        # A flag too few for 0.32.0 makes no other test of the real parser.
        newest = rendered(environment.VERSION)[case]
        assert {item for item in golden(case) if CHAT_TEMPLATE not in item} <= {*newest}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: f"{flag.name}={flag.field}")
def test_each_flag_is_there_from_its_first_release_to_its_last(version: str, flag: Flag) -> None:
    number = known(version)
    ranges = [entry for entry in FLAGS if entry.name == flag.name]
    claimed = any(
        entry.since <= number and (getattr(entry, "until", None) is None or number <= getattr(entry, "until", number))
        for entry in ranges
    )
    assert (flag.name in judged(version)["flags"]) == claimed


@pytest.mark.parametrize("version", VERSIONS)
def test_the_table_of_flags_is_that_of_the_parser(version: str) -> None:
    """No flag that the release has is called unknown; and each that the table gives it is there."""
    number, real = known(version), set(judged(version)["flags"]) - {"-h", "--help"}
    assert list(unknown(sorted(real), number)) == []
    if number in history().releases:
        spans = history().spans.items()
        claimed = {flag for flag, (first, gone) in spans if first <= number and (gone is None or number < gone)}
        assert claimed - real == set()


ALONE = [
    ["m", "--max-model-len=auto"],
    ["m", "--tensor-par=2"],
    ["m", "--max_model_len=5"],
    ["m", "-qfp8"],
    ["m", "--no-such-flag"],
]
"""Asked of every release besides the cases: a value that came later, and spellings that `engine.arguments` knows."""


def alone(version: str, *argv: str) -> dict[str, Any]:
    """What the parser says of one of ALONE."""
    parsed: dict[str, Any] = judged(version)["parsed"][len(rendered(version)) + ALONE.index(["m", *argv])]
    return parsed


@pytest.mark.parametrize("version", VERSIONS)
def test_a_length_of_auto_is_taken_since_0_14(version: str) -> None:
    assert (alone(version, "--max-model-len=auto")["error"] == "") == (known(version) >= (0, 14))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("argument", "name", "value"),
    [
        ("--tensor-par=2", "tensor_parallel_size", "2"),
        ("--max_model_len=5", "max_model_len", "5"),
        ("-qfp8", "quantization", "'fp8'"),
    ],
)
def test_abbreviations_are_read_as_the_refusals_suppose(*, version: str, argument: str, name: str, value: str) -> None:
    """So a tenant could set an owned flag with them, and they have to be refused."""
    parsed = alone(version, argument)
    assert (parsed["error"], parsed["values"][name]) == ("", value)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_unknown_flag_is_refused(version: str) -> None:
    """So a flag that the release does not have ends the server: exit code 2."""
    assert "unrecognized arguments: --no-such-flag" in alone(version, "--no-such-flag")["error"]


def test_each_refused_flag_is_one_of_vllms() -> None:
    """No refusal speaks of a flag that no release has, but one that is refused in case it comes."""
    everywhere = {flag for version in VERSIONS for flag in judged(version)["flags"]}
    assert set(refused_flags()) - everywhere == {"--no-enable-log-stats"}


def test_every_configuration_can_be_made(tmp_path: Path) -> None:
    """Behind the parser of 0.32.0: lengths, batches, parallelism, dtype, quantization are checked against a model.

    A draft model is left out: its configuration would be fetched from the hub.
    """
    argvs = rendered(environment.VERSION)
    shape = {"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072}
    model = tiny_model.write(tmp_path, **shape)
    offline = [[item for item in argv if not item.startswith("--speculative-config=")] for argv in argvs.values()]
    answer = ask(environment.VERSION, offline, configure=model)
    errors = {case: parsed["error"] for case, parsed in zip(argvs, answer["parsed"], strict=True) if parsed["error"]}
    assert errors == {}
