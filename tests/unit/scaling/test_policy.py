"""How many replicas and why: a table of situations, and what must hold in every one of them."""

import pytest

from llmfleet.api.conditions import Reason
from llmfleet.api.objectives import PRESETS
from llmfleet.api.v1alpha1 import ScalingSpec
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.fleet import Fleet
from llmfleet.scaling.policy import Decision, decide
from llmfleet.scaling.signals import PodSignals, Quality, read
from llmfleet.scaling.state import HISTORY, MANAGER, MEMORY, STAND_BACK, TAKEOVER_WINDOW, State
from tests.unit.scaling.builders import DELAY, PERIOD, config, fleet, page, settle, signals, track, watched, write

BUSY = signals(0.5)
STALE = PodSignals(quality=Quality.STALE)
SILENT = PodSignals()
NO_GAUGE = signals(None, quality=Quality.MISSING)


@pytest.mark.parametrize(
    ("seen", "wanted", "reason", "cause"),
    [
        pytest.param(fleet(BUSY, BUSY), 2, Reason.SCALING, "memory", id="at the target"),
        pytest.param(fleet(signals(0.54), signals(0.55)), 2, Reason.SCALING, "memory", id="inside the tolerance"),
        pytest.param(fleet(signals(0.56), signals(0.56)), 3, Reason.SCALING, "memory", id="just beyond the tolerance"),
        pytest.param(fleet(signals(0.9), signals(0.1)), 2, Reason.SCALING, "memory", id="the sum counts"),
        pytest.param(fleet(signals(0.0)), 1, Reason.SCALING, "memory", id="idle at the minimum"),
        pytest.param(fleet(signals(1.0)), 2, Reason.SCALING, "memory", id="full and no queue"),
        pytest.param(fleet(signals(0.94), signals(0.9)), 4, Reason.SCALING, "memory", id="KV climbs, queue empty"),
        pytest.param(fleet(*[signals(0.05)] * 4), 1, Reason.SCALING, "memory", id="idle: all at once"),
        pytest.param(fleet(*[signals(0.3)] * 4), 3, Reason.SCALING, "memory", id="3 carry it with a margin"),
        pytest.param(fleet(*[signals(0.36)] * 4), 4, Reason.SCALING, "memory", id="3 would be at 0.48: too near"),
        pytest.param(
            fleet(signals(0.26, 40, growth=6.0, finish=2.0)), 5, Reason.SCALING, "backlog", id="prefill binds: flow"
        ),
        pytest.param(
            fleet(signals(1.0, 100, growth=15.0, finish=5.0)), 5, Reason.SCALING, "backlog", id="4x step, KV says 2"
        ),
        pytest.param(
            fleet(signals(0.2, 6, growth=0.0, finish=2.0)), 2, Reason.SCALING, "backlog", id="a queue that stands"
        ),
        pytest.param(
            fleet(signals(0.4, 20, growth=-3.0, finish=20.0)), 1, Reason.SCALING, "memory", id="a queue that drains"
        ),
        pytest.param(
            fleet(signals(0.1, 9, least=0.0, growth=1.0, finish=20.0)),
            1,
            Reason.SCALING,
            "memory",
            id="a passing queue",
        ),
        pytest.param(
            fleet(signals(0.1, 9, least=5.0, growth=1.0, finish=20.0)), 2, Reason.SCALING, "backlog", id="it has stood"
        ),
        pytest.param(
            fleet(signals(0.1, 90, least=0.0, growth=8.0, finish=20.0)), 2, Reason.SCALING, "backlog", id="it is long"
        ),
        pytest.param(fleet(signals(0.2, 12)), 3, Reason.SCALING, "backlog", id="no rates: what holds the queue"),
        pytest.param(fleet(signals(0.2, 900)), 4, Reason.SCALING, "backlog", id="no rates: in bounds"),
        pytest.param(fleet(signals(0.5, preempting=True)), 3, Reason.SCALING, "memory", id="preemption is a trip-wire"),
        pytest.param(fleet(*[signals(1.0)] * 15), 20, Reason.AT_MAXIMUM, "memory", id="more than maxReplicas"),
        pytest.param(fleet(signals(0.9), starting=3), 2, Reason.SCALING, "memory", id="more start than are needed"),
        pytest.param(fleet(signals(0.9), starting=1), 2, Reason.SCALING, "memory", id="exactly enough"),
        pytest.param(fleet(*[signals(1.0)] * 3, starting=1), 6, Reason.SCALING, "memory", id="starting ones too few"),
        pytest.param(fleet(signals(0.05), starting=3), 1, Reason.SCALING, "memory", id="starting ones not needed"),
        pytest.param(
            fleet(signals(0.9), starting=2, unschedulable=1),
            2,
            Reason.SCALING,
            "memory",
            id="one too many, no GPU for it",
        ),
        pytest.param(
            fleet(*[signals(1.0)] * 2, starting=1, unschedulable=1), 3, Reason.INSUFFICIENT_GPU, "memory", id="no GPU"
        ),
        pytest.param(fleet(BUSY, signals(0.1), SILENT), 3, Reason.HELD_MISSING_METRICS, "memory", id="1 of 3 missing"),
        pytest.param(fleet(signals(0.05), STALE), 2, Reason.HELD_STALE, "memory", id="one is stale"),
        pytest.param(
            fleet(signals(0.05), signals(0.05, quality=Quality.FROZEN)), 2, Reason.HELD_STALE, "memory", id="frozen"
        ),
        pytest.param(fleet(signals(0.1), NO_GAUGE), 2, Reason.HELD_MISSING_METRICS, "memory", id="no KV gauge"),
        pytest.param(fleet(signals(0.9), signals(0.9), SILENT), 4, Reason.SCALING, "memory", id="known part asks up"),
        pytest.param(fleet(SILENT, SILENT), 2, Reason.HELD_MISSING_METRICS, "", id="blind"),
        pytest.param(fleet(starting=3), 3, Reason.HELD_MISSING_METRICS, "", id="none ready"),
        pytest.param(fleet(current=2), 2, Reason.HELD_MISSING_METRICS, "", id="no pods at all"),
        pytest.param(fleet(SILENT, current=30), 20, Reason.HELD_MISSING_METRICS, "bounds", id="blind, above maximum"),
        pytest.param(fleet(BUSY, current=0), 1, Reason.SCALING, "bounds", id="below minimum"),
    ],
)
def test_settled(seen: Fleet, wanted: int, reason: Reason, cause: str) -> None:
    """What is decided about a fleet that has looked like this for longer than the delay."""
    decision = settle(config(), seen)
    assert (decision.wanted, decision.reason, decision.cause) == (wanted, reason, cause), decision.message
    assert decision.write == (wanted != seen.current)


def test_both_metric_names_decide_alike() -> None:
    """The policy sees KV usage, whatever the engine calls it: see test_metrics for the names."""
    one = read(track((0, page(kv_usage=0.9))), now=0, stale_after=20)
    assert settle(config(), fleet(one)).wanted == 2


def test_a_restarted_engine_is_no_fall_in_load() -> None:
    """Its counters start at zero; its gauges are real, and the delay keeps replicas until they mean something."""
    restarted = read(track((0, page(kv_usage=0.9, steps=9000)), (5, page(steps=2))), now=5, stale_after=20)
    state = watched(config(), fleet(BUSY, BUSY))
    decision, _ = decide(config(), fleet(BUSY, restarted), state, 0)
    assert decision.wanted == 2


def test_down_waits_for_the_whole_delay() -> None:
    """The largest wish of the delay is what is done."""
    settings, idle = config(), fleet(*[signals(0.05)] * 3)
    state = watched(settings, fleet(*[BUSY] * 3))
    for now in range(0, int(DELAY) - 5, 5):
        decision, state = decide(settings, idle, state, now)
        assert (decision.wanted, decision.reason) == (3, Reason.SCALING)
        assert "scaleDownDelaySeconds" in decision.message
    decision, _ = decide(settings, idle, state, DELAY)
    assert decision.wanted == 1


def test_a_step_on_the_way_down_says_why_it_is_no_larger() -> None:
    """Four for a delay, then a load for two, now none: two is the most that the last delay wanted."""
    settings = config()
    state = watched(settings, fleet(*[BUSY] * 4))
    for now in range(0, int(DELAY), 5):
        _, state = decide(settings, fleet(*[signals(0.2)] * 4), state, now)
    decision, _ = decide(settings, fleet(*[signals(0.0)] * 4), state, DELAY)
    assert decision.wanted == 2
    assert "the most that was wanted" in decision.message
    assert "fewer would do" not in decision.message


def test_a_gap_in_the_data_starts_the_delay_anew() -> None:
    settings, idle = config(), fleet(*[signals(0.05)] * 3)
    state = watched(settings, idle)
    _, state = decide(settings, fleet(signals(0.05), signals(0.05), SILENT), state, 0)
    decision, state = decide(settings, idle, state, DELAY - 5)
    assert decision.wanted == 3
    decision, _ = decide(settings, idle, state, DELAY)
    assert decision.wanted == 1


def test_no_down_within_one_delay_after_a_restart() -> None:
    settings, idle, state = config(), fleet(*[signals(0.05)] * 3), State()
    for now in range(1000, 1000 + int(DELAY), 5):
        decision, state = decide(settings, idle, state, now)
        assert (decision.wanted, decision.reason) == (3, Reason.HELD_AFTER_RESTART)
    decision, _ = decide(settings, idle, state, 1000 + DELAY)
    assert decision.wanted == 1


def test_up_at_once_after_a_restart() -> None:
    decision, _ = decide(config(), fleet(signals(1.0), signals(1.0)), State(), 1000)
    assert (decision.wanted, decision.reason) == (4, Reason.SCALING)


def test_a_longer_delay_counts_from_when_it_was_set() -> None:
    idle = fleet(*[signals(0.05)] * 2)
    state = watched(config(delay=10), fleet(BUSY, BUSY))
    decision, state = decide(config(delay=600), idle, state, 5)
    assert decision.wanted == 2
    decision, state = decide(config(delay=600), idle, state, 300)
    assert decision.wanted == 2
    decision, _ = decide(config(delay=600), idle, state, 605)
    assert decision.wanted == 1


def test_a_whole_step_in_one_decision_and_no_second_one_while_it_starts() -> None:
    settings, loaded = config(), signals(1.0, 30, growth=15.0, finish=5.0)
    first, state = decide(settings, fleet(loaded), watched(settings, fleet(BUSY)), 0)
    assert first.wanted == 5
    state = write(state, first)
    second, _ = decide(settings, fleet(loaded, starting=4), state, 5)
    assert (second.wanted, second.write) == (5, False)


def test_bounds_changed_meanwhile_hold_at_once() -> None:
    state = watched(config(), fleet(*[BUSY] * 6))
    lowered, _ = decide(config(most=4), fleet(*[BUSY] * 6), state, 0)
    assert (lowered.wanted, lowered.reason, lowered.cause) == (4, Reason.AT_MAXIMUM, "bounds")
    raised, _ = decide(config(least=8), fleet(*[BUSY] * 6), state, 0)
    assert (raised.wanted, raised.cause) == (8, "bounds")


def overloaded_once() -> State:
    """A replica that was full served 5 requests a second."""
    full = fleet(signals(0.2, 100, growth=1.0, finish=5.0))
    _, state = decide(config(), full, watched(config(), fleet(signals(0.1)), until=-2 * DELAY), -2 * DELAY)
    return state


@pytest.mark.parametrize(("each", "wanted"), [(3.9, 4), (2.9, 3), (0.5, 1)])
def test_replicas_are_kept_for_what_a_full_one_was_seen_to_serve(each: float, wanted: int) -> None:
    """Load that needs no KV cache and leaves no queue: four replicas with 3.9 requests a second each are not idle."""
    state, calm = overloaded_once(), fleet(*[signals(0.02, 0, growth=0.0, finish=each)] * 4)
    for now in range(int(-DELAY) - 5, 1, 5):
        decision, state = decide(config(), calm, state, now)
    assert decision.wanted == wanted, decision.message


def test_what_was_seen_long_ago_is_forgotten() -> None:
    state = overloaded_once()
    assert state.service_rate == 5.0
    _, state = decide(config(), fleet(signals(0.1)), state, -2 * DELAY + MEMORY + 1)
    assert state.service_rate is None


def test_a_replica_that_keeps_preempting_beside_idle_ones_asks_for_no_more() -> None:
    """Requests stay where they are: more replicas would not help it."""
    stuck, idle = signals(1.0, preempting=True), signals(0.05)
    state, current = State(), 2
    for step in range(20):
        decision, state = decide(config(), fleet(stuck, *[idle] * (current - 1)), state, step * PERIOD)
        state = write(state, decision) if decision.write else state
        current = decision.wanted
    assert current == 3


def test_quota() -> None:
    seen = Fleet(current=3, replicas=fleet(*[signals(1.0)] * 2).replicas, quota_exceeded="exceeded quota: gpus")
    decision = settle(config(), seen)
    assert (decision.wanted, decision.reason) == (3, Reason.QUOTA_EXCEEDED)
    assert "exceeded quota: gpus" in decision.message


def test_suspended() -> None:
    decision, state = decide(config(), Fleet(current=3, suspended=True), watched(config(), fleet(BUSY)), 0)
    assert (decision.reason, decision.write) == (Reason.DISABLED, False)
    assert state.since is None, "whoever wakes up has a whole delay to warm up in"


class Contest:
    """The policy and somebody else who writes spec.replicas."""

    def __init__(self) -> None:
        self.settings, self.now, self.current, self.manager = config(), 0.0, 4, MANAGER
        self.state = watched(self.settings, self.seen)

    @property
    def seen(self) -> Fleet:
        pods = fleet(*[signals(1.0)] * 2, starting=max(0, self.current - 2)).replicas
        return Fleet(current=self.current, replicas=pods, replicas_manager=self.manager)

    def they_write(self, replicas: int, manager: str = "kube-controller-manager") -> None:
        self.current, self.manager = replicas, manager

    def we_decide(self, *, after: float = PERIOD) -> Decision:
        self.now += after
        decision, self.state = decide(self.settings, self.seen, self.state, self.now)
        if decision.write:
            self.state = write(self.state, decision)
            self.current, self.manager = decision.wanted, MANAGER
        return decision


def test_a_person_sets_the_number_and_the_policy_goes_on_from_there() -> None:
    contest = Contest()
    contest.they_write(7, "kubectl")
    decision = contest.we_decide()
    assert (decision.wanted, decision.reason) == (7, Reason.SCALING)
    held = contest.we_decide(after=DELAY - PERIOD)
    assert held.wanted == 7, "a person's number stands for one delay"
    assert contest.we_decide().wanted == 5, "4 would be at the target, without a margin"


def test_stands_back_from_another_autoscaler() -> None:
    """Three times in five minutes it took our 4 away; we stop, and come back after a quiet time."""
    contest = Contest()
    contest.they_write(3, "kubectl")
    for _ in range(3):
        assert contest.we_decide().wanted == 4
        contest.they_write(2)
    last = contest.we_decide()
    assert (last.reason, last.write) == (Reason.REPLICAS_OWNED_ELSEWHERE, False)
    assert "kube-controller-manager" in last.message
    contest.they_write(3)
    assert contest.we_decide(after=STAND_BACK - 10).reason is Reason.REPLICAS_OWNED_ELSEWHERE
    assert contest.we_decide(after=STAND_BACK - 10).reason is Reason.REPLICAS_OWNED_ELSEWHERE, "it still writes"
    assert contest.we_decide(after=20).wanted == 4


def test_rare_foreign_writes_are_no_fight() -> None:
    contest = Contest()
    for _ in range(6):
        contest.they_write(2, "argocd")
        assert contest.we_decide(after=TAKEOVER_WINDOW / 2 + 1).wanted == 4


def test_history_keeps_the_last_changes_newest_first() -> None:
    contest = Contest()
    for _ in range(HISTORY + 2):
        contest.they_write(2, "kubectl")
        contest.we_decide(after=TAKEOVER_WINDOW)
    history = contest.state.history
    assert len(history) == HISTORY
    assert (history[0].before, history[0].after, history[0].reason) == (2, 4, "memory")
    assert history[0].message == (
        "2 -> 4 replicas; KV cache 100 % full on 2 replicas (target 50 %) asks for 4; "
        "0 waiting on 2 replicas (target 4 each) asks for 0"
    )


def test_messages_name_the_pods_and_what_is_missing() -> None:
    missing = settle(config(), fleet(BUSY, PodSignals(missing=("vllm:kv_cache_usage_perc",))))
    assert "1 of 2 ready replicas (ready-1): vllm:kv_cache_usage_perc not on the page" in missing.message
    many = settle(config(), fleet(*[STALE] * 5))
    assert "5 of 5 ready replicas (ready-0, ready-1, ready-2 ...) are old or frozen" in many.message


def test_a_quiet_fleet_says_the_same_words_each_time() -> None:
    """Words that change without a cause would be status writes for ever."""
    settings, quiet = config(), fleet(signals(0.1))
    state = watched(settings, quiet)
    first, state = decide(settings, quiet, state, 0)
    later, _ = decide(settings, quiet, state, 3600)
    assert first == later


@pytest.mark.parametrize(
    ("spec", "kv", "waiting"),
    [
        ({"maxReplicas": 8}, 0.5, 4),
        ({"maxReplicas": 8, "objective": "Latency"}, 0.3, 1),
        ({"maxReplicas": 8, "objective": "Throughput"}, 0.8, 16),
        ({"maxReplicas": 8, "objective": "Throughput", "targets": {"kvCacheUsagePercent": 65}}, 0.65, 16),
        ({"maxReplicas": 8, "targets": {"waitingPerReplica": 30}}, 0.5, 30),
    ],
)
def test_targets_come_from_the_objective_and_the_object(spec: dict[str, object], kv: float, waiting: float) -> None:
    found = ScalingConfig.from_spec(ScalingSpec.model_validate(spec))
    assert (found.targets.kv_usage, found.targets.waiting) == (kv, waiting)
    assert (found.min_replicas, found.max_replicas, found.scale_down_delay) == (1, 8, 300)


def test_a_lower_objective_never_asks_for_fewer() -> None:
    kv = [preset.kv_usage for preset in PRESETS.values()]
    assert kv == sorted(kv)
