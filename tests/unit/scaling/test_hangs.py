"""Which engines hang, and which of them may be replaced."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.api.settings import HangSettings
from llmfleet.engine.metrics import EngineMetrics
from llmfleet.scaling.hangs import CONFIRM_SHARE, Patient, Suspicion, Ward, choose, examine, grace
from llmfleet.scaling.ports import EngineFacts, PodRef, Replacement
from llmfleet.scaling.signals import Heartbeat, PodSignals, Quality, read
from llmfleet.scaling.track import Sample, Track, observe
from tests.unit.scaling.builders import page

SETTINGS = HangSettings()
FACTS = EngineFacts(max_model_len=8192)
GRACE = SETTINGS.grace_seconds
CONFIRM = CONFIRM_SHARE * GRACE
PERIOD = 5.0
STALE = 20.0
NOW = 1_795_368_000.0
CAPS = "hangs.replacementsPerHour"


def silent(seconds: float = GRACE + 1, *, at: float = 1000.0, **fields: Any) -> PodSignals:
    """An engine with requests in flight that has given no sign of life for so long."""
    beat = {"steps": 9.0, "in_flight": 3.0, "silent_seconds": seconds, "seen_at": at, "stepped": True}
    given_beat = {key: value for key, value in fields.items() if key in Heartbeat.__slots__}
    rest = {key: value for key, value in fields.items() if key not in Heartbeat.__slots__}
    return PodSignals(**({"quality": Quality.FROZEN} | rest), heartbeat=Heartbeat(**(beat | given_beat)))


def test_a_silent_engine_is_suspected_and_confirmed_by_a_second_look() -> None:
    first = examine(None, silent(GRACE + 1, at=1000), FACTS, SETTINGS)
    assert first == Suspicion(1000)
    too_soon = examine(first, silent(GRACE + 6, at=1005), FACTS, SETTINGS)
    assert too_soon == first
    sure = examine(first, silent(GRACE + 1 + CONFIRM, at=1000 + CONFIRM), FACTS, SETTINGS)
    assert sure == Suspicion(1000, "3 requests in flight and no engine step for 151 s")
    later = examine(sure, silent(999, at=2000), FACTS, SETTINGS)
    assert later == sure, "the sentence stays, or each look would be a write"


@pytest.mark.parametrize(
    "signals",
    [
        pytest.param(silent(GRACE), id="within the grace"),
        pytest.param(silent(quality=Quality.STALE), id="the page does not come"),
        pytest.param(silent(quality=Quality.MISSING), id="a gauge is not on the page"),
        pytest.param(silent(steps=None), id="no counter of steps"),
        pytest.param(silent(in_flight=0.0), id="idle"),
        pytest.param(silent(in_flight=None), id="nobody knows what is in flight"),
        pytest.param(silent(page_moves=False), id="the page itself stands still"),
        pytest.param(silent(seen_at=None), id="never seen"),
        pytest.param(silent(2 * GRACE, stepped=False), id="never seen to step: three times the grace"),
        pytest.param(PodSignals(), id="nothing known"),
    ],
)
def test_what_is_no_hang(signals: PodSignals) -> None:
    """Also not for one that was suspected before: what is not known clears it."""
    assert examine(None, signals, FACTS, SETTINGS) is None
    assert examine(Suspicion(0.0), signals, FACTS, SETTINGS) is None
    assert examine(Suspicion(0.0, "confirmed"), signals, FACTS, SETTINGS) is None


def test_an_engine_never_seen_to_step_is_given_three_times_the_grace() -> None:
    assert examine(None, silent(3 * GRACE + 1, stepped=False), FACTS, SETTINGS) is not None


@pytest.mark.parametrize(
    ("max_model_len", "kv_cache_tokens", "seconds"),
    [
        pytest.param(8192, None, 120, id="a short context: as set"),
        pytest.param(131_072, 922_064, 262.144, id="twice 131,072 tokens at 1,000/s"),
        pytest.param(1_000_000, 922_064, 1844.128, id="no prompt is longer than the KV cache"),
        pytest.param(None, None, 262.144, id="the spec does not say: as most models"),
        pytest.param(None, 30_000, 120, id="a small KV cache"),
    ],
)
def test_the_grace_exceeds_the_longest_prefill(
    max_model_len: int | None, kv_cache_tokens: int | None, seconds: float
) -> None:
    assert grace(SETTINGS, EngineFacts(max_model_len=max_model_len), kv_cache_tokens) == pytest.approx(seconds)


def watch(pages: list[EngineMetrics | None], *, period: float = PERIOD) -> list[Suspicion | None]:
    """What is thought of one pod after each look; None is a look that gave nothing."""
    track: Track | None = None
    suspicion: Suspicion | None = None
    thoughts = []
    for number, metrics in enumerate(pages):
        now = number * period
        track = observe(track, Sample(now, metrics)) if metrics else track
        suspicion = examine(suspicion, read(track, now=now, stale_after=STALE), FACTS, SETTINGS)
        thoughts.append(suspicion)
    return thoughts


def busy(steps: float, cpu: float = 0.0, **values: float) -> EngineMetrics:
    values = {"kv_usage": 0.4, "running": 3.0, "steps": steps, "generation_tokens": 7 * steps} | values
    return page(**({"process_start": 1000.0, "process_cpu": cpu} | values))


HANG: list[EngineMetrics | None] = [busy(1), busy(2), *(busy(2, cpu=0.01 * i) for i in range(60))]


def test_a_hang_is_found_within_three_minutes() -> None:
    """150 s of silence and a look: a client that waits has lost that, and not the 85 minutes of a known outage."""
    confirmed = [number * PERIOD for number, one in enumerate(watch(HANG)) if one and one.confirmed]
    assert 150 <= confirmed[0] - PERIOD <= 160


def with_looks(change: dict[int, EngineMetrics | None]) -> list[EngineMetrics | None]:
    return [change.get(number, metrics) for number, metrics in enumerate(HANG)]


@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([busy(2, cpu=5.0) for _ in HANG], id="a page that never changes at all"),
        pytest.param(
            [*HANG[:25], *(busy(2, cpu=1 + 0.01 * i, process_start=2000.0) for i in range(20))], id="another process"
        ),
        pytest.param([None if 20 < number < 45 else one for number, one in enumerate(HANG[:50])], id="looks that fail"),
        pytest.param([page(process_cpu=float(i), steps=2.0) for i in range(60)], id="idle"),
        pytest.param(
            [busy(2, cpu=float(i), kv_usage=0.001 * i) for i in range(60)], id="a prefill of five minutes: KV grows"
        ),
        pytest.param(
            [busy(2 + i // 20, cpu=float(i)) for i in range(120)], id="saturated: a step every hundred seconds"
        ),
        pytest.param([*HANG[:30], *(busy(2 + i, cpu=1.0 + i) for i in range(9))], id="it came back"),
    ],
)
def test_what_is_never_confirmed(pages: list[EngineMetrics | None]) -> None:
    assert not any(one and one.confirmed for one in watch(pages))


def test_clients_that_hang_up_are_no_sign_of_life() -> None:
    """Aborted requests may be counted by the front end, which is not the engine."""
    pages: list[EngineMetrics | None] = [busy(1), *(busy(2, cpu=float(i), finished=float(i)) for i in range(60))]
    assert any(one and one.confirmed for one in watch(pages))


engines = st.lists(
    st.one_of(
        st.none(),
        st.builds(
            EngineMetrics,
            kv_usage=st.sampled_from([None, 0.5]),
            running=st.sampled_from([None, 0.0, 2.0]),
            waiting=st.sampled_from([None, 0.0, 2.0]),
            steps=st.sampled_from([None, 5.0]),
            generation_tokens=st.just(70.0),
            process_start=st.sampled_from([None, 1000.0]),
        ),
    ),
    min_size=1,
    max_size=60,
)


@given(engines, st.integers(2, 20))
def test_never_hung_while_a_counter_moves(pages: list[EngineMetrics | None], every: int) -> None:
    """Whatever is missing: a step in each grace is enough to be left alone."""
    moving = [
        one and EngineMetrics(running=2.0, waiting=0.0, kv_usage=0.5, steps=i // every) for i, one in enumerate(pages)
    ]
    assert not any(watch(moving))


@given(engines)
def test_never_confirmed_without_every_number_for_the_whole_time(pages: list[EngineMetrics | None]) -> None:
    """A confirmation needs unbroken evidence: all gauges and the steps known, requests in flight, page after page."""
    looks = int((GRACE + CONFIRM) / PERIOD)
    for number, thought in enumerate(watch(pages, period=PERIOD)):
        if thought and thought.confirmed:
            seen = [one for one in pages[max(0, number - looks) : number + 1] if one]
            assert all(one.steps == 5.0 and (one.running or one.waiting) for one in seen)
            assert len(seen) > looks // 5, "no more than stale_after between two pages"


def pod(name: str, *, created: float = 0.0) -> PodRef:
    return PodRef(name=name, uid=name, ip="192.0.2.1", port=8000, ready=True, created_at=created)


def hung(name: str, seconds: float = 200.0) -> Patient:
    return Patient(pod(name), silent(seconds), Suspicion(0.0, "3 requests in flight and no engine step for 151 s"))


def well(name: str, *, created: float = 0.0, stepped: bool = True) -> Patient:
    return Patient(pod(name, created=created), PodSignals(quality=Quality.FRESH, heartbeat=Heartbeat(stepped=stepped)))


def ward(*patients: Patient, **fields: Any) -> Ward:
    return Ward(patients=patients, patience=1800.0, **fields)


def ago(*seconds: float) -> tuple[Replacement, ...]:
    return tuple(Replacement(NOW - one, "gone", "") for one in seconds)


@pytest.mark.parametrize(
    ("case", "goes"),
    [
        pytest.param(ward(well("a"), well("b")), "", id="nobody hangs"),
        pytest.param(ward(hung("a")), "a", id="the only replica: it serves nobody as it is"),
        pytest.param(ward(well("a"), hung("b")), "b", id="one of two"),
        pytest.param(ward(hung("a", 200), hung("b", 300), well("c")), "b", id="the longest silent first"),
        pytest.param(ward(hung("a"), hung("b")), "a", id="both: one of them, to see whether that helps"),
        pytest.param(ward(hung("a"), well("b"), past=ago(60, 120)), "a", id="the third in an hour"),
        pytest.param(ward(hung("a"), well("b"), past=ago(60, 120, 3601)), "a", id="the hour is over for one"),
        pytest.param(ward(hung("a"), well("b"), changing=1, waited=1800.0), "a", id="waited for a whole start"),
        pytest.param(
            ward(hung("a"), hung("b"), well("c", created=NOW - 300), past=ago(600)), "a", id="the new one works"
        ),
        pytest.param(ward(hung("a"), past=ago(3700)), "a", id="the only one, hung again after an hour"),
        pytest.param(
            ward(Patient(pod("a"), silent(), Suspicion(0.0)), well("b")), "", id="suspected and not confirmed"
        ),
    ],
)
def test_who_is_replaced(case: Ward, goes: str) -> None:
    choice = choose(case, SETTINGS, NOW)
    assert (choice.patient.pod.name if choice.patient else "") == goes
    assert not choice.obstacle


@pytest.mark.parametrize(
    ("case", "settings", "words"),
    [
        pytest.param(
            ward(hung("a"), past=ago(60, 120, 180)), {}, f"the most that {CAPS} allows", id="three in an hour"
        ),
        pytest.param(ward(hung("a")), {"replacements_per_hour": 0}, f"{CAPS} is 0", id="turned off"),
        pytest.param(ward(hung("a"), elsewhere=10), {}, "clusterReplacementsPerHour", id="ten of all objects"),
        pytest.param(ward(hung("a"), well("b"), changing=1), {}, "starts or ends", id="another one is on its way"),
        pytest.param(ward(hung("a"), past=ago(600)), {}, "1 of 1 replicas hang", id="the new one never worked"),
        pytest.param(
            ward(hung("a"), hung("b"), well("c", created=NOW - 300, stepped=False), past=ago(600)),
            {},
            "2 of 3 replicas hang, and none that was made since gone was replaced was ever seen to work",
            id="the new one has had no request",
        ),
        pytest.param(
            ward(hung("a"), hung("b"), well("c", created=NOW - 700), past=ago(600)),
            {},
            "2 of 3",
            id="an older one works",
        ),
    ],
)
def test_why_nobody_is_replaced(case: Ward, settings: dict[str, int], words: str) -> None:
    choice = choose(case, SETTINGS.model_copy(update=settings), NOW)
    assert choice.patient is None
    assert words in choice.obstacle
