"""The scheduler by worked examples; times are those of an engine whose step is one second plus 0 per token."""

import pytest

from llmfleet.sim.replica import Replica
from llmfleet.sim.sequence import Limits, Phase, Request, Sequence, StepResult
from llmfleet.sim.steptime import StepTime

ONE_SECOND = StepTime(alpha_ms=1000, beta_ms=1e-9, gamma_ms=0, p=1)


def engine(*, blocks: int = 101, block_size: int = 4, seqs: int = 8, budget: int = 16) -> Replica:
    limits = Limits(blocks=blocks, block_size=block_size, max_num_seqs=seqs, max_num_batched_tokens=budget)
    return Replica(limits=limits, step_time=ONE_SECOND)


def ids(sequences: list[Sequence]) -> str:
    return "".join(sequence.request.id for sequence in sequences)


def drive(replica: Replica, *, limit: int = 1000) -> list[StepResult]:
    """Step until nothing is left; one step a second from zero."""
    results: list[StepResult] = []
    while replica.busy:
        results.append(replica.step(float(len(results))))
        assert len(results) < limit
    return results


def test_one_request_prefills_once_and_then_makes_a_token_a_step() -> None:
    replica = engine()
    request = replica.submit(Request("a", 6, 3), 0.0)
    results = drive(replica)
    assert [(step.prefill_tokens, step.decoded, step.context) for step in results] == [(6, 0, 6), (0, 1, 7), (0, 1, 8)]
    assert [request.scheduled, request.first_token, request.finished] == pytest.approx([0.0, 1.0, 3.0])
    assert (request.phase, replica.generated(request)) == (Phase.FINISHED, 3)
    assert replica.free_blocks == 100


def test_a_long_prompt_goes_in_chunks_behind_the_decodes() -> None:
    """Budget 16: `a` decodes, so `b` gets 15 tokens a step; its 40 tokens take three steps after `a`'s own prefill."""
    replica = engine()
    replica.submit(Request("a", 4, 10), 0.0)
    replica.step(0.0)
    replica.submit(Request("b", 40, 1), 1.0)
    steps = [replica.step(float(now)) for now in range(1, 4)]
    assert [(step.decoded, step.prefill_tokens) for step in steps] == [(1, 15), (1, 15), (1, 10)]
    assert [ids(step.finished) for step in steps] == ["", "", "b"]


def test_two_prompts_share_a_step_and_the_second_is_cut() -> None:
    replica = engine()
    for name in "ab":
        replica.submit(Request(name, 10, 2), 0.0)
    first, second = replica.step(0.0), replica.step(1.0)
    assert (first.prefill_tokens, ids(first.admitted), ids(first.prefilled)) == (16, "ab", "a")
    assert (second.prefill_tokens, second.decoded, ids(second.prefilled)) == (4, 1, "b")


def test_sequences_are_bounded() -> None:
    replica = engine(seqs=2)
    for name in "abc":
        replica.submit(Request(name, 2, 2), 0.0)
    assert ids(replica.step(0.0).admitted) == "ab"
    assert (replica.running, replica.waiting) == (2, 1)
    assert ids(replica.step(1.0).finished) == "ab"
    assert ids(replica.step(2.0).admitted) == "c"


def test_a_prompt_finishing_its_chunks_still_takes_a_slot() -> None:
    replica = engine(seqs=2, budget=4)
    for name, prompt in (("a", 6), ("b", 1), ("c", 1)):
        replica.submit(Request(name, prompt, 3), 0.0)
    replica.step(0.0)
    assert ids(replica.step(1.0).admitted) == "b"


def test_a_prompt_is_admitted_only_if_all_of_it_fits() -> None:
    """Ten usable blocks of four: `a` holds six, and `b` needs five although its first chunk would need one."""
    replica = engine(blocks=11, budget=25)
    replica.submit(Request("a", 24, 2), 0.0)
    replica.submit(Request("b", 20, 1), 0.0)
    assert ids(replica.step(0.0).admitted) == "a"
    second = replica.step(1.0)
    assert (ids(second.admitted), ids(second.finished)) == ("", "a")
    assert replica.kv_usage == 0
    assert ids(replica.step(2.0).finished) == "b"


def test_the_head_of_the_queue_is_never_overtaken() -> None:
    replica = engine(blocks=11, budget=40)
    replica.submit(Request("a", 24, 3), 0.0)
    replica.submit(Request("b", 20, 1), 0.0)
    replica.submit(Request("c", 1, 1), 0.0)
    assert ids(replica.step(0.0).admitted) == "a"


def test_the_newest_gives_way_and_is_recomputed_from_the_head_of_the_queue() -> None:
    """Four usable blocks of four, all held: the first one that `a` opens costs `b` all of its own."""
    replica = engine(blocks=5, budget=64)
    oldest = replica.submit(Request("a", 8, 6), 0.0)
    newest = replica.submit(Request("b", 8, 4), 0.0)
    replica.step(0.0)
    assert replica.kv_usage == 1.0
    second = replica.step(1.0)
    assert (ids(second.preempted), second.decoded, ids(second.admitted)) == ("b", 1, "")
    replica.submit(Request("c", 1, 1), 2.0)
    later = [replica.step(float(now)) for now in range(2, 7)]
    # `b` needs three blocks for its 8 + 1 tokens and waits for `a`; `c` waits behind it
    assert [ids(step.finished) for step in later] == ["", "", "", "a", "c"]
    assert later[4].prefill_tokens == 8 + 1 + 1
    drive(replica)
    assert (oldest.preemptions, newest.preemptions) == (0, 1)
    assert [newest.scheduled, newest.first_token] == pytest.approx([0.0, 1.0])
    assert replica.generated(newest) == 4


def test_an_aborted_request_gives_its_blocks_back_wherever_it_is() -> None:
    replica = engine(budget=16)
    decoding = replica.submit(Request("a", 8, 9), 0.0)
    partial = replica.submit(Request("b", 30, 9), 0.0)
    waiting = replica.submit(Request("c", 1, 9), 0.0)
    replica.step(0.0)
    assert [item.phase for item in (decoding, partial, waiting)] == [Phase.DECODE, Phase.PREFILL, Phase.WAITING]
    for sequence in (waiting, partial, decoding):
        assert replica.abort(sequence)
        assert sequence.phase is Phase.ABORTED
        assert not replica.abort(sequence)
    assert (replica.busy, replica.free_blocks, replica.kv_tokens) == (False, 100, 0)


def test_a_finish_noted_for_an_aborted_request_ends_nobody() -> None:
    replica = engine()
    first = replica.submit(Request("a", 4, 3), 0.0)
    replica.step(0.0)
    replica.abort(first)
    again = replica.submit(Request("a", 4, 3), 1.0)
    results = drive(replica)
    assert [ids(step.finished) for step in results] == ["", "", "a"]
    assert (first.phase, again.phase) == (Phase.ABORTED, Phase.FINISHED)


def test_queue_length_in_tokens_counts_what_must_be_computed() -> None:
    replica = engine(seqs=1)
    for name, prompt in (("a", 4), ("b", 7), ("c", 9)):
        replica.submit(Request(name, prompt, 2), 0.0)
    replica.step(0.0)
    assert replica.waiting_tokens == 16
    assert [sequence.request.id for sequence in replica.sequences()] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request("x", 0, 1), "at least one prompt token"),
        (Request("x", 1, 0), "at least one prompt token"),
        (Request("x", 400, 2), "more KV cache"),
        (Request("here", 1, 1), "already in the engine"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused(*, request_: Request, message: str) -> None:
    replica = engine()
    replica.submit(Request("here", 1, 1), 0.0)
    with pytest.raises(ValueError, match=message):
        replica.submit(request_, 0.0)


def test_a_request_that_fills_the_cache_to_the_last_token_is_served() -> None:
    replica = engine(budget=512)
    replica.submit(Request("x", 400, 1), 0.0)
    assert ids(replica.step(0.0).finished) == "x"


def test_an_idle_engine_has_no_step() -> None:
    with pytest.raises(RuntimeError, match="idle"):
        engine().step(0.0)


@pytest.mark.parametrize(("limits", "message"), [((1, 16, 1, 1), "usable block"), ((9, 16, 8, 4), "max_num_seqs")])
def test_impossible_limits_are_refused(*, limits: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits(*limits)
