"""The logging configuration that a pod gets, or not."""

import json
from typing import Any

from llmfleet.api.settings import Settings
from llmfleet.manifests.pod import template
from tests.unit.controller.bodies import SETTINGS, parsed
from tests.unit.kube.bodies import llm_body

VARIABLE = "VLLM_LOGGING_CONFIG_PATH"


def made(settings: Settings = SETTINGS, **engine: Any) -> tuple[str | None, Any, list[str]]:
    """The path that the engine is told, the file's content, and the names of the volumes."""
    found = template(parsed(llm_body(engine=engine)), settings)
    container = found["spec"]["containers"][0]
    path = next((item["value"] for item in container["env"] if item["name"] == VARIABLE), None)
    text = found["metadata"]["annotations"].get("llmfleet.io/logging")
    return path, text and json.loads(text), [volume["name"] for volume in found["spec"]["volumes"]]


def test_the_file_that_is_named_is_the_one_that_is_mounted() -> None:
    path, config, names = made()
    found = template(parsed(llm_body()), SETTINGS)
    volume = next(v for v in found["spec"]["volumes"] if v["name"] == "logging")
    mount = next(m for m in found["spec"]["containers"][0]["volumeMounts"] if m["name"] == "logging")
    (item,) = volume["downwardAPI"]["items"]
    assert path == f"{mount['mountPath']}/{item['path']}"
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['llmfleet.io/logging']"
    assert config["handlers"]["words"]["filename"] == "/dev/termination-log"
    assert "logging" in names


def test_the_level_follows_the_environment() -> None:
    _, config, _ = made(env=[{"name": "VLLM_LOGGING_LEVEL", "value": "debug"}])
    assert config["loggers"]["vllm"]["level"] == "DEBUG"


def test_a_logging_of_ones_own_stays() -> None:
    """The tenant's by an argument, the administrator's by a variable."""
    assert made(extraArgs=["--disable-access-log-for-endpoints", "/health"])[:2] == (None, None)
    admin = SETTINGS.model_dump(by_alias=True) | {"engine": {"extraEnv": {VARIABLE: "/mine.json"}}}
    path, config, names = made(Settings.parse(admin))
    assert (path, config, "logging" in names) == ("/mine.json", None, False)
