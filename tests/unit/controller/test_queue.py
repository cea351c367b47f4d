"""The work queue: each key once at a time, the earlier wish wins, failures wait longer and longer."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmfleet.controller.queue import BACKOFF_MOST, Schedule, WorkQueue
from llmfleet.kube.errors import TransientError
from llmfleet.kube.resources import Key

A, B = ("team", "a"), ("team", "b")


def test_two_wishes_are_one_pass() -> None:
    schedule = Schedule()
    schedule.add(A, at=5)
    schedule.add(A, at=3)
    schedule.add(A, at=9)
    assert schedule.take(2) is None
    assert schedule.take(3) == A
    assert schedule.take(99) is None


def test_the_longest_due_comes_first() -> None:
    schedule = Schedule()
    schedule.add(A, at=2)
    schedule.add(B, at=1)
    assert [schedule.take(5), schedule.take(5)] == [B, A]


def test_a_new_spec_comes_before_everything_that_is_due() -> None:
    """Also if the key was waiting already; afterwards it is one of many again."""
    schedule = Schedule()
    for key in (A, B):
        schedule.add(key, at=0)
    schedule.renew(B, at=5)
    assert [schedule.take(0), schedule.take(0)] == [B, A]
    for key in (A, B):
        schedule.succeed(key, again_at=None)
    schedule.add(A, at=6)
    schedule.add(B, at=7)
    assert [schedule.take(9), schedule.take(9)] == [A, B]


def test_what_a_pass_left_to_be_made_comes_after_new_specs_and_before_mere_looks() -> None:
    schedule = Schedule()
    schedule.add(A, at=0)
    assert schedule.take(0) == A
    other, looked_at = ("team", "c"), ("team", "d")
    schedule.renew(other, at=0)
    schedule.add(looked_at, at=0)
    schedule.succeed(A, again_at=1, is_unfinished=True)
    assert [schedule.take(1) for _ in range(3)] == [other, A, looked_at]
    schedule.succeed(A, again_at=2)
    schedule.add(B, at=1)
    assert schedule.take(2) == B


def test_a_new_spec_does_not_wait_for_the_failure_of_the_old_one() -> None:
    schedule = Schedule()
    schedule.add(A, at=0)
    schedule.take(0)
    schedule.renew(A, at=1)
    assert schedule.fail(A, now=2, chance=1.0, at_least=60) == 0
    assert schedule.take(2) == A
    assert schedule.fail(A, now=3, chance=1.0) == 1.0


def test_a_wish_during_a_pass_waits_for_its_end() -> None:
    schedule = Schedule()
    schedule.add(A, at=0)
    assert schedule.take(0) == A
    schedule.add(A, at=1)
    assert schedule.take(1) is None
    assert schedule.next_due() is None
    schedule.succeed(A, again_at=None)
    assert schedule.take(1) == A


def test_failures_double_the_delay_up_to_five_minutes_and_chance_halves_it_at_most() -> None:
    schedule, delays = Schedule(), []
    for _ in range(12):
        schedule.due[A] = 0
        schedule.active.add(A)
        delays.append(schedule.fail(A, now=0, chance=1.0))
    assert delays[:5] == [1, 2, 4, 8, 16]
    assert delays[-1] == BACKOFF_MOST
    other = Schedule()
    other.active.add(A)
    assert other.fail(A, now=0, chance=0.0) == 0.5


def test_events_do_not_shorten_a_backoff_but_a_new_generation_does() -> None:
    schedule = Schedule()
    schedule.active.add(A)
    schedule.fail(A, now=0, chance=1.0)
    schedule.add(A, at=0)
    assert schedule.take(0.9) is None
    schedule.renew(A, at=0.9)
    assert schedule.take(0.9) == A
    assert schedule.fail(A, now=1, chance=1.0) == 1.0


def test_the_server_may_ask_for_more_patience() -> None:
    schedule = Schedule()
    schedule.active.add(A)
    assert schedule.fail(A, now=0, chance=1.0, at_least=30) == 30


def test_success_forgets_failures() -> None:
    schedule = Schedule()
    schedule.active.add(A)
    schedule.fail(A, now=0, chance=1.0)
    assert schedule.take(1) == A
    schedule.succeed(A, again_at=7)
    assert (schedule.take(6.9), schedule.take(7)) == (None, A)
    assert schedule.fail(A, now=7, chance=1.0) == 1.0


def test_depth_counts_what_is_due() -> None:
    schedule = Schedule()
    schedule.add(A, at=1)
    schedule.add(B, at=5)
    assert (schedule.depth(0), schedule.depth(1), schedule.depth(5)) == (0, 1, 2)


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "renew", "take", "succeed", "fail"]), st.sampled_from("abc"), st.integers(0, 9)),
    max_size=60,
)


@given(STEPS)
def test_no_wish_is_lost_and_no_key_is_worked_on_twice(steps: list[tuple[str, str, int]]) -> None:
    """Whatever happens in whatever order, a key that is wished for is found again in the end, exactly once."""
    schedule, now, wished = Schedule(), 0.0, set[Key]()
    for action, letter, number in steps:
        key, now = ("team", letter), now + 1
        if action in {"add", "renew"}:
            getattr(schedule, action)(key, at=now + number)
            wished.add(key)
        elif action == "take":
            taken = schedule.take(now)
            assert taken not in schedule.active - {taken}
            wished.discard(taken) if taken else None
        elif key in schedule.active:
            if action == "succeed":
                unfinished = number % 2 == 0
                schedule.succeed(key, again_at=now if unfinished else None, is_unfinished=unfinished)
                wished |= {key} if unfinished else set()
            else:
                schedule.fail(key, now=now, chance=0.5)
                wished.add(key)
    for key in list(schedule.active):
        schedule.succeed(key, again_at=None)
    rest = iter(lambda: schedule.take(1e9), None)
    assert sorted(rest) == sorted(wished)


@pytest.fixture
def queue() -> WorkQueue:
    queue = WorkQueue(concurrency=2)
    queue.opened.set()
    return queue


async def running(queue: WorkQueue, handler: object, *, until: asyncio.Event) -> None:
    """Run the queue until the event is set, then stop it."""
    task = asyncio.create_task(queue.run(handler))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        await until.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_keys_run_side_by_side_up_to_the_limit(queue: WorkQueue) -> None:
    now, most, done, finished = 0, 0, 0, asyncio.Event()

    async def handler(_: Key) -> None:
        nonlocal now, most, done
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.01)
        now, done = now - 1, done + 1
        if done == 6:
            finished.set()

    for number in range(6):
        queue.add(("team", str(number)))
    await running(queue, handler, until=finished)
    assert most == 2


async def test_a_bug_in_one_pass_stops_nothing(queue: WorkQueue) -> None:
    """And the key comes again; so does one that the server asked to wait for."""
    seen, finished = list[Key](), asyncio.Event()

    async def handler(key: Key) -> None:
        seen.append(key)
        if key == A and seen.count(A) == 1:
            raise ZeroDivisionError
        if seen.count(A) == 2 and B in seen:
            finished.set()

    queue.add(A)
    queue.add(B)
    await running(queue, handler, until=finished)
    assert seen.count(B) == 1


async def test_the_delay_that_the_server_asks_for_is_kept(queue: WorkQueue) -> None:
    finished = asyncio.Event()

    async def handler(_: Key) -> None:
        finished.set()
        raise TransientError("slow down", retry_after=50.0)

    queue.add(A)
    await running(queue, handler, until=finished)
    assert queue.schedule.due[A] - asyncio.get_running_loop().time() > 45


async def test_nothing_is_worked_on_before_everything_is_known() -> None:
    queue, seen, finished = WorkQueue(), list[Key](), asyncio.Event()

    async def handler(key: Key) -> None:
        seen.append(key)
        finished.set()

    queue.add(A)
    task = asyncio.create_task(queue.run(handler))
    await asyncio.sleep(0.05)
    assert seen == []
    queue.opened.set()
    await running(queue, handler, until=finished)
    assert seen == [A]
    task.cancel()


async def test_a_pass_that_has_begun_ends_before_the_queue_does(queue: WorkQueue) -> None:
    begun, steps = asyncio.Event(), list[str]()

    async def handler(_: Key) -> None:
        begun.set()
        await asyncio.sleep(0.05)
        steps.append("ended")

    queue.add(A)
    await running(queue, handler, until=begun)
    assert steps == ["ended"]
    assert queue.oldest_pass() == 0.0
