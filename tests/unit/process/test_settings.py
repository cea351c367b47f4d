"""The administrator's file: what is wrong with it is said with its place."""

from pathlib import Path

import pytest

from llmfleet.api.settings import Settings
from llmfleet.process.settings import SettingsError, load


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text)
    return path


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Settings()


def test_a_whole_file(tmp_path: Path) -> None:
    found = load(written(tmp_path, "gpuProfiles: [{name: h100, memoryGiB: 80}]\nscaling: {scrapePeriodSeconds: 2}\n"))
    assert (found.gpu_profiles[0].name, found.scaling.scrape_period_seconds) == ("h100", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine: {defualtImage: x}", "engine.defualtImage: Extra inputs are not permitted"),
        ("gpuProfiles: [{name: a}]", "gpuProfiles.0.memoryGiB: Field required"),
        ("gpuProfiles: [{name: a, memoryGiB: 1}, {name: a, memoryGiB: 1}]", "each name may stand only once"),
        ("- engine", "must hold a mapping with the keys engine, gpuProfiles and scaling"),
        ("engine: [", "not valid YAML"),
        ("settings: {engine: {}}", "looks like values of the chart"),
        ("gpuProfileOverrides: {}", "kubectl get configmap llmfleet-settings --namespace llmfleet"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SettingsError) as raised:
        load(path)
    assert str(path) in str(raised.value)
    assert words in str(raised.value)


def test_a_missing_file_is_named_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.yaml: No such file or directory; give .* with --settings"):
        load(tmp_path / "nowhere.yaml")
