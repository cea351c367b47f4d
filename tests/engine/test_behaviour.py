"""What the operator counts on, seen on the real vLLM: warm-up, KV pressure, hang, death of the engine process.

One server for the first three; the one whose engine is killed is its last test. Drain and what clients see of it stand
in test_contract.py.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.api.settings import HangSettings
from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.engine import metrics
from llmfleet.engine.failures import explain
from llmfleet.kube.pods import obstacle, view_pod
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet, Replica
from llmfleet.scaling.hangs import Suspicion, examine, grace
from llmfleet.scaling.policy import Decision, decide
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.signals import PodSignals, Quality, read
from llmfleet.scaling.state import State
from llmfleet.scaling.track import Sample, Track, observe
from tests.engine import pod
from tests.engine.client import Stream, wait_for
from tests.engine.process import REAL, Engine, engine

LONG, LONG_ANSWERS = 1800, 10
"""Tokens, of which the cache holds those of four answers at a time; and count."""
MOST = 8
SCRAPE_SECONDS = 0.25
MOST_LOOKS = 120
RARELY = "--stream-interval=100"
"""Tokens between two events of a stream: with one for each, the API server is what is slow, and the engine waits."""
STALE_AFTER = 3.0
CONTEXT = 2048
PROMPT, ANSWER, STREAMS = 600, 600, 24
"""Tokens and count: 60 of the 63 blocks hold half of the prompts."""


class Scraper:
    """Looks at an engine's page as the autoscaler does."""

    def __init__(self, server: Engine) -> None:
        self._server = server
        self._track: Track | None = None
        self.pages: list[metrics.EngineMetrics] = []

    def look(self) -> PodSignals:
        """Scrape once and say what is known now."""
        page = metrics.parse(self._server.page())
        self.pages.append(page)
        now = time.monotonic()
        self._track = observe(self._track, Sample(now, page))
        return read(self._track, now=now, stale_after=STALE_AFTER)

    def until(self, reached: Callable[[PodSignals], bool], otherwise: str) -> PodSignals:
        """Look until the signals are as wanted, and return them."""
        seen = [self.look()]
        while not reached(seen[-1]):
            assert len(seen) < MOST_LOOKS, f"{otherwise}: {seen}"
            time.sleep(SCRAPE_SECONDS)
            seen.append(self.look())
        return seen[-1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A real engine from the operator's argv; not ready yet."""
    wanted = pod.spec(engine={"maxModelLen": CONTEXT, "extraArgs": [*pod.QUICK, RARELY]})
    with engine(REAL, wanted, tmp_path_factory.mktemp("engine"), ready=False) as started:
        yield started


def test_ready_only_after_the_warm_up(server: Engine) -> None:
    """The startup probe's own command fails while the engine loads, and then succeeds once a token was generated."""
    succeeded, said = server.probe()
    assert (succeeded, said.startswith("not ready: ")) == (False, True)
    server.wait_ready()
    assert server.value("vllm:generation_tokens_total") == 0
    assert server.probe() == (True, "")
    assert server.value("vllm:generation_tokens_total") == 1


def wanted_for(signals: PodSignals, *, current: int = 1) -> Decision:
    """What the policy decides for one replica with these signals, of as many as were asked for."""
    config = ScalingConfig.from_spec(ScalingSpec.model_validate({"minReplicas": 1, "maxReplicas": MOST}))
    fleet = Fleet(current=current, replicas=(Replica(name=pod.NAME, signals=signals),))
    return decide(config, fleet, State(), time.monotonic())[0]


def test_a_full_cache_is_seen_and_answered_with_more_replicas(server: Engine) -> None:
    """Usage near 1, a queue, preemptions, from the page through the signals to the policy; every stream completes."""
    scraper = Scraper(server)
    assert wanted_for(scraper.look()).wanted == 1
    seen = Event()
    with ThreadPoolExecutor(STREAMS) as clients:  # all at once: a busy server may be slow to take one after the other
        answered = [clients.submit(ask_until, server, seen, number + 1) for number in range(STREAMS)]
        try:
            pressed = scraper.until(
                lambda signals: (signals.kv or 0) >= 0.95 and bool(signals.queue),
                "the cache was never full with requests waiting",
            )
        finally:
            seen.set()
        answers = sum(each.result() for each in answered)
    decision = wanted_for(pressed)
    assert decision.wanted > 1, decision
    assert decision.reason is Reason.SCALING
    assert pressed.quality is Quality.FRESH
    assert pressed.kv_cache_tokens == pod.BLOCKS * 128
    scraper.until(lambda seen: seen.running == 0, "the engine never came to rest")
    before, after = scraper.pages[0], scraper.pages[-1]
    assert (after.preemptions or 0) > (before.preemptions or 0)
    assert (after.finished or 0) - (before.finished or 0) == answers
    assert (after.generation_tokens or 0) - (before.generation_tokens or 0) == answers * ANSWER
    assert after.kv_usage == 0
    print(f"KV {pressed.kv:.2f}, running {pressed.running}, waiting {pressed.waiting}: {decision.message}")


def ask_until(server: Engine, seen: Event, token: int) -> int:
    """Ask with a prompt that no other shares, again and again until it was seen; the number of answers, all whole."""
    answers = 0
    while not (answers and seen.is_set()):
        assert server.stream(tokens=ANSWER, prompt=[token] * PROMPT).rest() == (ANSWER, True)
        answers += 1
    return answers


@contextlib.contextmanager
def stopped(server: Engine) -> Iterator[Stream]:
    """The engine's own processes stopped at work, the API server not, and more answers asked for than the cache holds.

    They are one request, so all of them lie before the engine when the first token arrives, however late a busy server
    passes it on. Of many requests the engine may be done with one before it has the next, and what stops at rest has
    nothing to show.
    """
    pids = server.engine_processes()
    assert pids, "the engine has no processes of its own"
    stream = server.stream(tokens=LONG, n=LONG_ANSWERS)
    stream.first()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield stream
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_a_hang_is_seen_by_counters_that_stand_still(server: Engine) -> None:
    """/health and /metrics answer 200 for a stopped engine; it is suspected, confirmed, and cleared when it goes on."""
    settings, facts = HangSettings(grace_seconds=2), EngineFacts(max_model_len=CONTEXT)
    scraper, suspicion = Scraper(server), None

    def hangs(seen: PodSignals) -> bool:
        nonlocal suspicion
        suspicion = examine(suspicion, seen, facts, settings)
        return suspicion is not None and bool(suspicion.confirmed)

    assert not hangs(scraper.look())
    with stopped(server) as stream:
        began = time.monotonic()
        hung = scraper.until(hangs, "the hang was never noticed")
        assert time.monotonic() - began > grace(settings, facts, hung.kv_cache_tokens)
        assert server.request("GET", "/health")[0] == 200
        assert (hung.quality, hung.heartbeat.page_moves) == (Quality.FROZEN, True)
        held = wanted_for(hung, current=MOST)
        assert (held.wanted, held.reason) == (MOST, Reason.HELD_STALE)
    assert isinstance(suspicion, Suspicion)
    print(suspicion.confirmed)
    assert stream.rest() == (LONG * LONG_ANSWERS, True)
    scraper.until(lambda seen: not hangs(seen) and seen.running == 0, "the engine never came to rest")
    assert suspicion is None


def test_the_death_of_the_engine_process_is_noticed_although_the_exit_code_is_0(server: Engine) -> None:
    """The server ends with 0, within seconds and with all its processes; its pod counts as broken, not as done."""
    with stopped(server) as stream:
        began = time.monotonic()
        os.kill(server.engine_core(), signal.SIGKILL)
    assert stream.rest()[0] < LONG * LONG_ANSWERS  # some are told of an error
    code, took = server.exit_code(), time.monotonic() - began
    print(f"ended {took:.1f} s after its engine was killed")
    assert (code, took < 15) == (0, True)
    wait_for(lambda: not server.engine_processes(), "processes of the engine were left behind")
    words = server.pod.termination_log.read_text()
    once, often = (view_pod(restarted(count, words)) for count in (1, 2))
    assert not once.ready
    found = obstacle([once])
    assert found is not None
    assert found.restarted
    assert often.stage is Reason.ENGINE_DIED
    print(often.detail)


def restarted(count: int, words: str) -> dict[str, Any]:
    """The pod as the kubelet reports it after so many ends of its container: exit code 0 brings no line of the log."""
    now = "2026-01-01T00:00:00Z"
    times = {"startedAt": now, "finishedAt": now}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed", "message": words, **times}}
    container = {
        "name": "engine",
        "image": pod.SETTINGS.engine.default_image,
        "ready": False,
        "restartCount": count,
        "state": {"running": {"startedAt": now}},
        "lastState": ended,
    }
    conditions = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": "False"}]
    metadata = {"name": "tiny-0", "uid": "1", "resourceVersion": "1", "creationTimestamp": now}
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [container]}
    return {"metadata": metadata, "status": status}


STARTS = {
    "length": ({"maxModelLen": 4096}, (), 1, Reason.CONTEXT_TOO_LONG, "Set spec.engine.maxModelLen to 2048 or less"),
    "flag": ({}, ("--no-such-flag=1",), 2, Reason.FLAG_UNKNOWN_TO_ENGINE, "Remove it from spec.engine.extraArgs"),
    "cache": (
        {"maxModelLen": CONTEXT},
        ("--kv-cache-memory-bytes=262144",),
        1,
        Reason.DOES_NOT_FIT_MEMORY,
        "Set spec.engine.maxModelLen to 896 or less",
    ),
}
"""Name -> engine fields, extra arguments, exit code, and what the operator says of it."""


@pytest.mark.parametrize("name", STARTS)
def test_a_start_that_fails_is_explained(name: str, tmp_path: Path) -> None:
    """Its exit code, and the cause told from nothing but what the kubelet keeps of the container."""
    fields, extra, code, reason, remedy = STARTS[name]
    wanted = pod.spec(engine={**fields, "extraArgs": ["--enforce-eager", *extra]})
    with engine(REAL, wanted, tmp_path, ready=False) as started:
        assert started.daemon.wait(240) == code
        failure = explain(code, "Error", started.termination_message())
    assert (failure.reason, failure.blames_spec) == (reason, True)
    assert failure.remedy.startswith(remedy)
    print(f"{failure.sentence} {failure.remedy}")
