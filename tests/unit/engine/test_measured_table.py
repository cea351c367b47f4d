"""The table measured on GPUs (tests/engine/measured) is whole, and its figures add up as the engine says they do."""

import json
from pathlib import Path
from typing import Any

import pytest

MEASURED = Path(__file__).parents[2] / "engine" / "measured"
CASES: list[dict[str, Any]] = json.loads((MEASURED / "cases.json").read_text())
ROWS: list[dict[str, Any]] = json.loads((MEASURED / "gpu_kv_cache.json").read_text())
SERVING = [row for row in ROWS if "refusal" not in row]


def test_each_case_has_a_row_and_a_model() -> None:
    assert [case["name"] for case in CASES] == [row["name"] for row in ROWS]
    for case, row in zip(CASES, ROWS, strict=True):
        assert row["argv"] == case["argv"]
        assert (MEASURED / "models" / f"{case['model']}.json").exists()


@pytest.mark.parametrize("row", SERVING, ids=lambda row: str(row["name"]))
def test_cache_is_what_the_request_leaves(row: dict[str, Any]) -> None:
    """Cache = utilization x GPU - weights - activations - other programs' share - graphs, to the byte, on each GPU."""
    for worker in row["workers"]:
        taken = ("weights_bytes", "activation_peak_bytes", "non_torch_bytes", "cudagraph_estimate_bytes")
        left = worker["requested_bytes"] - sum(worker[name] for name in taken)
        assert worker["available_kv_cache_bytes"] == left


@pytest.mark.parametrize("row", SERVING, ids=lambda row: str(row["name"]))
def test_blocks_are_the_cache_by_the_pages_of_one_group(row: dict[str, Any]) -> None:
    """Groups of layers take turns in the same tensors, so one block costs a page for each layer of one group."""
    pages = max(group["layers"] * group["page_size_bytes"] for group in row["kv_groups"])
    assert row["num_gpu_blocks"] == min(worker["available_kv_cache_bytes"] for worker in row["workers"]) // pages
