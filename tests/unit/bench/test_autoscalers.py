"""The autoscaler benchmark's own arithmetic: traces, tuning, what counts as better, what makes the short form fail."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmfleet.sim.optimum import demand
from tests.bench.autoscalers import figure, rules, short, table, traces, tuning
from tests.bench.autoscalers.cases import CASES, DAY, ENGINES, HOUR, Part
from tests.bench.autoscalers.jobs import Job, Setting, key
from tests.bench.autoscalers.plan import Plan
from tests.bench.autoscalers.results import Result, Shelf, fingerprint, to_rows

RESULT = Result(
    rule="llmfleet",
    knob=None,
    case="step",
    seed=1,
    requests=1000,
    in_slo=0.99,
    gpu_hours=12.0,
    optimum_gpu_hours=10.0,
    reactive_gpu_hours=11.0,
    ttft_p50=0.1,
    ttft_p99=1.5,
    worst_ttft_p99=3.0,
    itl_p99=0.1,
    actions=6,
    reversals=0,
    peak=9,
    failed=0,
    needed=8,
    mean_needed=4.0,
    wall=1.0,
)
HERE = {name: case for name, case in CASES.items() if not case.given}


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("coding-week", (4 * DAY + 14 * HOUR, 4 * DAY + 22 * HOUR)),
        ("chat-week", (DAY + 11 * HOUR, DAY + 17 * HOUR)),
        ("reasoning-day", (0.0, DAY)),
        ("step", (0.0, 1.5 * HOUR)),
    ],
)
def test_a_scaled_trace_has_the_peak_that_was_asked_for(name: str, part: Part) -> None:
    """Of its highest minute, which lies in this part; requests scatter around the rates."""
    trace = traces.load(CASES[name], peak=5.0, seed=1, part=part)
    assert trace.span == part[1] - part[0]
    assert max(demand(trace.at, seconds=trace.span)) == pytest.approx(5.0, rel=0.12)


@pytest.mark.parametrize("name", HERE)
def test_a_seed_gives_the_same_requests_again(name: str) -> None:
    case = CASES[name]
    one, again = (list(traces.load(case, peak=2.0, seed=3, part=case.short)) for _ in range(2))
    assert one == again


def test_a_part_of_a_week_is_drawn_at_the_whole_weeks_scale() -> None:
    """Sunday night is quiet beside Tuesday afternoon."""
    case = CASES["coding-week"]
    night, day = (
        traces.load(case, peak=20.0, seed=1, part=(start, start + HOUR))
        for start in (2 * DAY + 9 * HOUR, 4 * DAY + 18 * HOUR)
    )
    assert len(day) > 10 * len(night)


def test_four_times_the_hour_is_four_times_the_requests() -> None:
    once, fourfold = (
        traces.load(CASES[name], peak=0.0, seed=1, part=(0.0, HOUR)) for name in ("coding-hour", "coding-hour-4x")
    )
    assert len(fourfold) == 4 * len(once) == 4 * 8819


def test_every_engine_has_room_for_the_longest_request_of_its_traces() -> None:
    for engine in ENGINES.values():
        tokens = engine.fleet().limits.blocks * 16
        for case in HERE.values():
            trace = traces.load(case, peak=1.0, seed=1, part=case.short)
            assert max(prompt + answer for _, prompt, answer in trace) < tokens


@pytest.mark.parametrize("name", rules.NAMES)
def test_a_grid_goes_up_from_eager_to_thrifty(name: str) -> None:
    grid = rules.grid(name)
    assert list(grid) == sorted(grid)


def test_tuning_halves_its_way_to_the_thriftiest_value_that_is_enough() -> None:
    """In SLO up to 5, so 5 it is, after a few of the ten."""
    grid = tuple(float(value) for value in range(10))
    tried: dict[float, Result] = {}
    while (knob := tuning.following(grid, tried)) is not None:
        tried[knob] = replace(RESULT, in_slo=0.995 if knob <= 5 else 0.9, gpu_hours=20.0 - knob)
    assert tuning.best(tried) == 5.0
    assert len(tried) <= 4


def test_where_no_value_is_enough_the_best_share_wins() -> None:
    tried = {1.0: replace(RESULT, in_slo=0.9), 2.0: replace(RESULT, in_slo=0.95), 4.0: replace(RESULT, in_slo=0.8)}
    assert tuning.best(tried) == 2.0


def test_better_is_better_on_one_axis_and_no_worse_on_the_other() -> None:
    others = {
        "dearer": replace(RESULT, in_slo=0.999, gpu_hours=13.0),
        "worse": replace(RESULT, in_slo=0.98, gpu_hours=9.0),
        "same": RESULT,
        "cheaper": replace(RESULT, gpu_hours=11.0),
        "one-step oracle": replace(RESULT, gpu_hours=10.0),
    }
    found = table.rows([RESULT, *(replace(result, rule=name) for name, result in others.items())])["step"]
    assert [row.name for row in table.better(found)] == ["cheaper"]


def test_near_is_cheaper_and_hardly_worse() -> None:
    others = {
        "cheaper": replace(RESULT, in_slo=RESULT.in_slo - 0.004, gpu_hours=11.0),
        "cheapest": replace(RESULT, in_slo=RESULT.in_slo - 0.001, gpu_hours=9.0),
        "much worse": replace(RESULT, in_slo=RESULT.in_slo - 0.006, gpu_hours=9.0),
        "no cheaper": replace(RESULT, in_slo=RESULT.in_slo - 0.001),
        "better": replace(RESULT, gpu_hours=9.0),
        "one-step oracle": replace(RESULT, in_slo=RESULT.in_slo - 0.001, gpu_hours=9.0),
    }
    found = table.rows([RESULT, *(replace(result, rule=name) for name, result in others.items())])["step"]
    assert [row.name for row in table.near(found)] == ["cheapest", "cheaper"]


def test_the_thriftiest_of_ours_and_of_the_others_has_enough_in_slo() -> None:
    runs = [
        RESULT,
        replace(RESULT, knob=4.0, gpu_hours=8.0),
        replace(RESULT, rule="llmfleet Throughput", in_slo=0.98, gpu_hours=7.0),
        replace(RESULT, rule="dear", gpu_hours=13.0),
        replace(RESULT, rule="cheap", knob=2.0, gpu_hours=9.0),
        replace(RESULT, rule="too cheap", in_slo=0.98, gpu_hours=6.0),
        replace(RESULT, rule="one-step oracle", gpu_hours=5.0),
    ]
    found = table.rows(runs)["step"]
    thriftiest = [table.thriftiest(found, ours=ours) for ours in (True, False)]
    assert [row and row.title for row in thriftiest] == ["llmfleet (tuned: 4)", "cheap (tuned: 2)"]
    assert table.thriftiest(found[-1:], ours=False) is None


def test_the_table_shows_mean_and_range_of_the_seeds() -> None:
    of_case = table.rows([RESULT, replace(RESULT, seed=2, in_slo=1.0, gpu_hours=14.0)])["step"]
    assert "| **llmfleet** | 99.5 % · 1.30x |" in "\n".join(table.summary({"step": of_case}))
    assert "99.50 (99.00-100.00) %" in "\n".join(table.details(of_case))


def test_a_time_without_end_is_never() -> None:
    assert [table.seconds(value) for value in (0.05, 3.0, 1234.0, float("inf"))] == [
        "50 ms",
        "3.0 s",
        "1234 s",
        "never",
    ]


STORED = {"step": {"inSlo": 0.99, "gpuHours": 12.0}}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, []),
        ({"in_slo": 0.9851, "gpu_hours": 12.59}, []),
        ({"in_slo": 0.984}, ["98.40 % of the requests are in SLO, it was 99.00 % and may be 0.5 points less"]),
        ({"gpu_hours": 12.7}, ["it took 12.70 GPU-hours, it was 12.00 and may be 5 % more"]),
    ],
)
def test_the_short_form_complains_about_what_became_worse(change: dict[str, Any], words: list[str]) -> None:
    found = list(short.complaints([replace(RESULT, **change)], STORED))
    assert len(found) == len(words)
    for sentence, word in zip(found, words, strict=True):
        assert word in sentence
        assert "make bench ARGS=--update" in sentence


def test_every_slice_of_the_short_form_has_a_stored_figure() -> None:
    assert set(json.loads(short.STORED.read_text())) == set(short.SLICES)


def test_a_result_is_kept_until_the_code_behind_it_changes(tmp_path: Path) -> None:
    job = Job(setting=Setting(case="step"), rule="llmfleet", seed=1, part=(0.0, 60.0))
    shelf = Shelf(tmp_path)
    shelf.put(key(job), RESULT)
    assert Shelf(tmp_path).get(key(job)) == RESULT
    assert shelf.get(key(replace(job, seed=2))) is None
    assert shelf.get(key(replace(job, rule="kubeai"))) is None


def test_what_a_page_of_the_repository_shows_is_not_played_again(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "figures.json").write_text('{"of": "another kind"}')
    (pages / "page.json").write_text(json.dumps(to_rows({"abc": replace(RESULT, in_slo=0.123456789, wall=7.0)})))
    shelf = Shelf(tmp_path / "cache", pages=pages)
    assert shelf.get("abc") == replace(RESULT, in_slo=0.1234568, wall=0.0)
    assert shelf.get("abd") is None
    shelf.put("abc", RESULT)
    assert shelf.get("abc") == RESULT, "one's own comes first"
    assert Shelf(tmp_path / "other").get("abc") is None


def test_a_fingerprint_sees_a_changed_file() -> None:
    file = Path(__file__)
    assert fingerprint([file]) == fingerprint([file]) != fingerprint([file.parent / "nothing"])


def _played(knob: float) -> dict[str, Any]:
    """Enough in SLO up to 8, and the cheaper the higher."""
    return {"in_slo": 1.0 if knob <= 8 else 0.5, "gpu_hours": 300 - knob}


def test_a_plan_trains_first_and_then_runs_as_shipped_and_tuned() -> None:
    plan = Plan(cases=["step"], rules=["llmfleet", "kubeai"], setting=Setting(case=""), seeds=2, tune=["kubeai"])
    results = plan.run(
        lambda jobs: {
            job: replace(RESULT, rule=job.rule, knob=job.knob, seed=job.seed, **_played(job.knob or 0)) for job in jobs
        }
    )
    kubeai = [(result.knob, result.seed) for result in results if result.rule == "kubeai"]
    assert kubeai == [(None, 1), (None, 2), (8.0, 1), (8.0, 2)]


def test_a_plan_shows_what_is_known_when_nothing_is_run() -> None:
    plan = Plan(cases=["step"], rules=["llmfleet", "kubeai"], setting=Setting(case=""), tune=["kubeai"])
    shipped = {"llmfleet": RESULT}
    results = plan.run(lambda jobs: {job: shipped[job.rule] for job in jobs if job.rule in shipped})
    assert results == [RESULT]


def test_the_figure_puts_better_further_up_and_dearer_further_right() -> None:
    points = [figure.Point("good", "ours", 1.2, 0.995), figure.Point("bad", "peer", 2.0, 0.9)]
    svg = figure.picture([figure.Panel("a trace", points)], note="a note")
    places = {}
    for name in ("good", "bad"):
        (mark,) = (line for line in svg.splitlines() if f"<title>{name}</title>" in line)
        places[name] = [float(mark.split(f'{axis}="')[1].split('"')[0]) for axis in ("cx", "cy")]
    assert places["good"][0] < places["bad"][0]
    assert places["good"][1] < places["bad"][1], "SVG counts downwards"
