"""What KEDA is told to ask Prometheus, answered by Prometheus' own engine for series as engines make them."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.chart.observability import promtool
from tests.golden.test_golden import expected

LABELS = {"namespace": "team-a", "llmfleet_io_deployment": "chat"}
NEW, OLD, QUEUE = "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "vllm:num_requests_waiting"


def queries() -> dict[str, str]:
    (found,) = (child for child in expected("scaled-by-keda") if child["kind"] == "ScaledObject")
    return {trigger["name"]: trigger["metadata"]["query"] for trigger in found["spec"]["triggers"]}


def series(name: str, values: str, **labels: str) -> dict[str, str]:
    """One series, a value each 15 s; `_` is none, `stale` the mark of a target that fails or is gone."""
    pairs = ",".join(f'{key}="{value}"' for key, value in (LABELS | labels).items())
    return {"series": f"{name}{{{pairs}}}", "values": values}


class Case(NamedTuple):
    what: str
    given: list[dict[str, str]]
    kv: float | None
    waiting: float | None
    at: str = "2m"


def pod(
    name: str, *, kv: str, waiting: str, up: str = "1x400", metric: str = NEW, **labels: str
) -> list[dict[str, str]]:
    """What Prometheus has of one pod."""
    own = {"pod": name, **labels}
    return [
        series("up", up, **own),
        series(metric, kv, **own, engine="0", model_name="chat"),
        series(QUEUE, waiting, **own, engine="0", model_name="chat"),
    ]


LOST = "1x4 0x396"
"""Scraped for a minute, then not reached any more."""

CASES = [
    Case("two pods", [*pod("a", kv="0.4x400", waiting="3x400"), *pod("b", kv="0.2x400", waiting="0x400")], 60, 3),
    Case(
        "versions before and after the metric's new name",
        [*pod("a", kv="0.4x400", waiting="1x400", metric=OLD), *pod("b", kv="0.2x400", waiting="1x400")],
        60,
        2,
    ),
    Case(
        "both names on one page are one cache",
        [
            *pod("a", kv="0.4x400", waiting="1x400"),
            series(OLD, "0.4x400", pod="a", engine="0", model_name="chat"),
        ],
        40,
        1,
    ),
    Case(
        "of several engines in a pod the fullest counts, and all queues",
        [
            *pod("a", kv="0.4x400", waiting="1x400"),
            series(NEW, "0.7x400", pod="a", engine="1", model_name="chat"),
            series(QUEUE, "5x400", pod="a", engine="1", model_name="chat"),
        ],
        70,
        6,
    ),
    Case(
        "a pod that two jobs scrape counts once",
        [
            *pod("a", kv="0.4x400", waiting="2x400", job="one"),
            *pod("a", kv="0.4x400", waiting="2x400", job="two"),
        ],
        40,
        2,
    ),
    Case(
        "objects of similar names and other namespaces do not count",
        [
            *pod("chat-1", kv="0.4x400", waiting="1x400"),
            *pod("chat-b-1", kv="0.9x400", waiting="9x400", llmfleet_io_deployment="chat-b"),
            *pod("chat-2", kv="0.9x400", waiting="9x400", namespace="team-b"),
        ],
        40,
        1,
    ),
    Case(
        "a replica that starts adds nothing",
        [*pod("a", kv="0.4x400", waiting="3x400"), series("up", "0x400", pod="b")],
        40,
        3,
    ),
    Case(
        "a pod that is not reached any more counts as it was last",
        [
            *pod("a", kv="0.4x400", waiting="3x400"),
            *pod("b", kv="0.8x4 stale", waiting="2x4 stale", up=LOST),
        ],
        120,
        5,
        at="30m",
    ),
    Case(
        "and not for ever",
        [
            *pod("a", kv="0.4x400", waiting="3x400"),
            *pod("b", kv="0.8x4 stale", waiting="2x4 stale", up=LOST),
        ],
        40,
        3,
        at="65m",
    ),
    Case(
        "a pod that is gone does not count",
        [
            *pod("a", kv="0.4x400", waiting="3x400"),
            *pod("b", kv="0.8x4 stale", waiting="2x4 stale", up="1x4 stale"),
        ],
        40,
        3,
    ),
    Case(
        "no pod is reached: no answer, so that the fallback keeps the replicas",
        [*pod("a", kv="0.4x4 stale", waiting="3x4 stale", up=LOST)],
        None,
        None,
    ),
    Case("idle engines are an answer", [*pod("a", kv="0x400", waiting="0x400")], 0, 0),
    Case("nothing was ever scraped: no answer", [series("up", "0x400", pod="a")], None, None),
    Case(
        "engines without the label: no answer",
        [
            {"series": f'{NEW}{{namespace="team-a",pod="chat-1"}}', "values": "0.4x400"},
            {"series": 'up{namespace="team-a",pod="chat-1"}', "values": "1x400"},
        ],
        None,
        None,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_what_prometheus_answers(tmp_path: Path, case: Case) -> None:
    """KEDA takes one element; none is an error to it."""
    wanted = {"kv-cache": case.kv, "waiting": case.waiting}
    checks: list[dict[str, Any]] = [
        {
            "expr": query,
            "eval_time": case.at,
            "exp_samples": [] if wanted[name] is None else [{"labels": "{}", "value": wanted[name]}],
        }
        for name, query in queries().items()
    ]
    test = {"interval": "15s", "input_series": case.given, "promql_expr_test": checks}
    file = tmp_path / "case.yaml"
    file.write_text(yaml.safe_dump({"fuzzy_compare": True, "tests": [test]}))
    promtool("test", "rules", str(file))
