"""Whether the real vLLM can run here, said in words; and the tiny model that it runs."""

import json
import struct
from pathlib import Path

import pytest

from tests.engine import environment, pod, tiny_model

WHEEL = f"torch-{environment.TORCH}-{environment._INTERPRETER}-{environment._INTERPRETER}-manylinux_2_28_x86_64.whl"


def test_without_a_wheel_the_reason_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(environment.VARIABLE, raising=False)
    assert "set LLMFLEET_TORCH_WHEEL to the wheel torch-" in environment.why_not()
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path))
    assert f"LLMFLEET_TORCH_WHEEL is {tmp_path}, which is or has no wheel" in environment.why_not()
    (tmp_path / "torch-1.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    assert environment.why_not() != ""


@pytest.mark.parametrize("named", [".", WHEEL])
def test_a_folder_or_a_file_names_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: str) -> None:
    (tmp_path / WHEEL).touch()
    monkeypatch.setenv(environment.VARIABLE, str(tmp_path / named))
    assert environment.wheel() == tmp_path / WHEEL
    assert environment.why_not() == ""


def test_the_model_is_the_same_each_time_and_its_weights_fit_its_header(tmp_path: Path) -> None:
    one, two = (tiny_model.write(tmp_path / name) / "model.safetensors" for name in ("one", "two"))
    raw = one.read_bytes()
    assert raw == two.read_bytes()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    assert max(ends) == len(raw) - 8 - length
    config = json.loads((one.parent / "config.json").read_text())
    assert header["lm_head.weight"]["shape"] == [config["vocab_size"], config["hidden_size"]]


def test_only_what_a_process_cannot_have_is_changed(tmp_path: Path) -> None:
    """Paths, address, port and Secrets; every other argument and variable is the manifest's."""
    secret = {"apiKeySecretRef": {"name": "key", "key": "api-key"}}
    template = pod.template(pod.spec(access=secret))
    adapted = pod.Adapted(template=template, port=1234, root=tmp_path, secrets={"VLLM_API_KEY": "x"})
    container = adapted.container
    changed = [(there, here) for there, here in zip(container["args"], adapted.argv[2:], strict=True) if there != here]
    assert changed == [
        ("/model/tiny", f"{tmp_path}/model/tiny"),
        ("--host=0.0.0.0", "--host=127.0.0.1"),
        ("--port=8000", "--port=1234"),
    ]
    plain = {item["name"]: item["value"] for item in container["env"] if "value" in item}
    assert set(adapted.env) == {*plain, "VLLM_API_KEY", "PATH"}
    assert all(str(tmp_path) in adapted.env[name] for name, value in plain.items() if adapted.env[name] != value)
    assert adapted.probe[-2:] == ["127.0.0.1:1234", "tiny"]
    with pytest.raises(ValueError, match="VLLM_API_KEY"):
        pod.Adapted(template=template, port=1, root=tmp_path, secrets={}).env  # noqa: B018
