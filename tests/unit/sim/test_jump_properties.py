"""Many steps at once against one by one: a pod that jumps, and is looked at, does what a replica that steps does."""

from bisect import bisect
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmfleet.sim.pod import Pod
from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Counters, Limits, Request, Sequence
from llmfleet.sim.steptime import StepTime

STEP_TIME = StepTime(10, 0.37, 0.0113)
"""Milliseconds; a step of a few requests takes 10 to 20."""


@dataclass(frozen=True)
class Load:
    limits: Limits
    requests: list[tuple[float, int, int]]
    looks: list[float]


@st.composite
def loads(draw: st.DrawFn) -> Load:
    """Requests over a second or so on a small cache, and moments at which somebody looks.

    The times are multiples of odd fractions, so that none falls on the end of a step by chance.
    """
    seqs = draw(st.integers(1, 6))
    limits = Limits(
        blocks=draw(st.integers(24, 60)),
        block_size=4,
        max_num_seqs=seqs,
        max_num_batched_tokens=draw(st.integers(seqs, 24)),
        whole_prompt_must_fit=draw(st.booleans()),
    )
    times = sorted(draw(st.lists(st.integers(0, 300), min_size=1, max_size=14)))
    lengths = st.tuples(st.integers(1, 24), st.integers(1, 60))
    requests = [(time * 0.00371 + 1e-7, *draw(lengths)) for time in times]
    looks = [look * 0.00719 + 2e-7 for look in draw(st.lists(st.integers(0, 300), max_size=8))]
    return Load(limits, requests, sorted(looks))


State = tuple[int, int, int, Counters]


def state(replica: Replica) -> State:
    return replica.running, replica.free_blocks, replica.kv_tokens, replace(replica.counters)


@dataclass(frozen=True)
class Steps:
    """A run one step at a time: the requests, when each step ended, and the replica after it."""

    sequences: list[Sequence]
    ends: list[float]
    states: list[State]

    def around(self, time: float) -> list[State]:
        """After the last step that has ended, and after the one that is under way."""
        after = bisect(self.ends, time)
        return self.states[max(0, after - 1) : after + 1]


def stepped(load: Load) -> Steps:
    replica = Replica(limits=load.limits, step_time=STEP_TIME)
    steps = Steps([], [0.0], [state(replica)])
    now = 0.0
    while replica.busy or len(steps.sequences) < len(load.requests):
        while len(steps.sequences) < len(load.requests) and load.requests[len(steps.sequences)][0] <= now:
            at, prompt, output = load.requests[len(steps.sequences)]
            steps.sequences.append(replica.submit(Request(str(len(steps.sequences)), prompt, output), at))
        if not replica.busy:
            now = load.requests[len(steps.sequences)][0]
            continue
        now += replica.step(now).duration
        steps.ends.append(now)
        steps.states.append(state(replica))
    return steps


def jumped(load: Load) -> tuple[list[Sequence], list[Sequence], list[tuple[float, State]], Pod]:
    """The same through a pod that is looked at meanwhile: requests by arrival, by end, and what was seen when."""
    pod = Pod("pod", 0.0, limits=load.limits, step_time=STEP_TIME, phase=0.0)
    arrivals = [(at, number) for number, (at, _, _) in enumerate(load.requests)]
    arrived, finished, seen = [], [], []
    for time, number in sorted(arrivals + [(look, -1) for look in load.looks]):
        while pod.end < time:
            finished += pod.conclude()
        if number < 0:
            pod.catch_up(time)
            seen.append((time, state(pod.replica)))
        else:
            pod.in_flight += 1
            pod.submit(Request(str(number), *load.requests[number][1:]), time)
            arrived.append(pod.served[str(number)])
    while pod.in_flight:
        finished += pod.conclude()
    return arrived, finished, seen, pod


@settings(max_examples=300, deadline=None)
@given(loads())
def test_jumps_are_many_steps(load: Load) -> None:
    """The same first and last tokens, preemptions and counters, the same order of ends, and between the same states."""
    steps = stepped(load)
    arrived, finished, seen, pod = jumped(load)
    for one, other in zip(steps.sequences, arrived, strict=True):
        assert (other.scheduled, other.first_token, other.finished) == pytest.approx(
            (one.scheduled, one.first_token, one.finished), rel=1e-9
        )
        assert (other.phase, other.preemptions) == (one.phase, one.preemptions)
    ends = [item.finished or 0.0 for item in finished]
    assert ends == sorted(ends)
    assert state(pod.replica) == steps.states[-1]
    for time, found in seen:
        assert found in steps.around(time)


@given(
    tokens=st.integers(1, 1024),
    context=st.integers(0, 1_000_000),
    steps=st.integers(1, 500),
    beside=st.sampled_from([-0.9, -1e-6, 1e-6, 0.9]),
)
def test_equal_steps_in_closed_form(*, tokens: int, context: int, steps: int, beside: float) -> None:
    """The sum of the steps one by one; and after that time, a part of a step more or less, as many are complete."""
    pace = STEP_TIME.pace(tokens=tokens, context=context)
    one_by_one = [STEP_TIME.seconds(tokens=tokens, context=context + number * tokens) for number in range(1, steps + 1)]
    assert pace.seconds(steps) == pytest.approx(sum(one_by_one), rel=1e-9)
    moment = pace.seconds(steps) + beside * one_by_one[-1]
    assert pace.steps_within(moment) == (steps if beside > 0 else steps - 1)
