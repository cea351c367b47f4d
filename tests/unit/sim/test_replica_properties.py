"""The replica against the slow scheduler, step by step, on arbitrary loads that press memory hard."""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Limits, Phase, Request, Sequence
from llmfleet.sim.steptime import StepTime
from tests.unit.sim.naive import NaiveEngine, NaiveRequest

BLOCK = 4
LENGTHS = st.tuples(st.integers(1, 24), st.integers(1, 12))


@dataclass(frozen=True)
class Load:
    blocks: int
    seqs: int
    budget: int
    whole: bool
    arrivals: list[list[tuple[int, int]]]


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """Batches of requests by step, each small enough to fit the cache alone."""
    seqs = draw(st.integers(1, 6))
    return Load(
        blocks=draw(st.integers(10, 20)),
        seqs=seqs,
        budget=draw(st.integers(seqs, 24)),
        whole=draw(st.booleans()),
        arrivals=draw(st.lists(st.lists(LENGTHS, max_size=3), min_size=1, max_size=12)),
    )


def check_blocks(replica: Replica) -> None:
    """No block is lost or held twice, and what requests hold is what usage says."""
    held = sum(replica.held_blocks(sequence) for sequence in replica.sequences())
    assert held + replica.free_blocks == replica.limits.blocks - 1
    assert 0 <= replica.kv_usage <= 1
    assert replica.kv_tokens <= held * BLOCK
    queued = [sequence for sequence in replica.sequences() if sequence.phase is Phase.WAITING]
    assert replica.waiting_tokens == sum(sequence.to_prefill for sequence in queued)


def names(sequences: list[Sequence]) -> list[str]:
    return [sequence.request.id for sequence in sequences]


@settings(max_examples=300, deadline=None)
@given(loads())
def test_every_step_is_the_slow_schedulers(load: Load) -> None:
    limits = Limits(load.blocks, BLOCK, load.seqs, load.budget, load.whole)
    replica = Replica(limits=limits, step_time=StepTime(1, 0.01, 0.0001))
    naive = NaiveEngine(load.blocks, BLOCK, load.seqs, load.budget, load.whole)
    submitted: list[Sequence] = []
    now, step = 0.0, 0
    while replica.busy or step < len(load.arrivals):
        for prompt, output in load.arrivals[step] if step < len(load.arrivals) else ():
            name = str(len(submitted))
            submitted.append(replica.submit(Request(name, prompt, output), now))
            naive.waiting.append(NaiveRequest(name, prompt, output))
        step += 1
        if not replica.busy:
            continue
        result = replica.step(now)
        now += result.duration
        tokens, admitted, finished, preempted = naive.step()
        assert (result.prefill_tokens + result.decoded, names(result.admitted)) == (tokens, admitted)
        assert (sorted(names(result.finished)), names(result.preempted)) == (sorted(finished), preempted)
        assert [item.request.id for item in replica.sequences()] == [r.id for r in naive.running + naive.waiting]
        assert (replica.free_blocks, replica.running, replica.waiting) == (
            naive.free,
            len(naive.running),
            len(naive.waiting),
        )
        check_blocks(replica)
    assert all(replica.generated(item) == item.request.output_tokens for item in submitted)
    assert replica.free_blocks == load.blocks - 1


@settings(max_examples=200, deadline=None)
@given(loads(), st.data())
def test_no_request_is_lost_when_some_are_aborted_at_any_time(load: Load, data: st.DataObject) -> None:
    limits = Limits(load.blocks, BLOCK, load.seqs, load.budget, load.whole)
    replica = Replica(limits=limits, step_time=StepTime(1, 0.01, 0.0001))
    left: dict[str, Sequence] = {}
    for number, (prompt, output) in enumerate(lengths for batch in load.arrivals for lengths in batch):
        left[str(number)] = replica.submit(Request(str(number), prompt, output), 0.0)
    while replica.busy:
        for done in replica.step(0.0).finished:
            del left[done.request.id]
        if left and (victim := data.draw(st.sampled_from(["", *sorted(left)]))):
            assert replica.abort(left.pop(victim))
        check_blocks(replica)
        assert {sequence.request.id for sequence in replica.sequences()} == set(left)
    assert not left


@settings(max_examples=100, deadline=None)
@given(loads())
def test_times_of_a_request_are_in_order_and_first_come_first_served(load: Load) -> None:
    limits = Limits(load.blocks, BLOCK, load.seqs, load.budget, load.whole)
    replica = Replica(limits=limits, step_time=StepTime(1, 0.01, 0.0001))
    everyone = [
        replica.submit(Request(str(number), prompt, output), 0.0)
        for number, (prompt, output) in enumerate(lengths for batch in load.arrivals for lengths in batch)
    ]
    now = 0.0
    while replica.busy:
        now += replica.step(now).duration
    scheduled = [item.scheduled for item in everyone if item.scheduled is not None]
    assert len(scheduled) == len(everyone)
    assert scheduled == sorted(scheduled)
    for item in everyone:
        assert item.first_token is not None
        assert item.finished is not None
        assert item.arrived <= scheduled[int(item.request.id)] < item.first_token <= item.finished <= now
