"""What a day's sums say about the spec: each rule, its thresholds, and the words."""

from array import array
from typing import Any

import pytest

from llmfleet.api.conditions import ADVICE, Advice
from llmfleet.scaling.config import ScalingConfig
from llmfleet.scaling.evidence import DAY_SECONDS, HOUR, Case, Recommendation
from llmfleet.scaling.ports import EngineFacts
from llmfleet.scaling.recommendations import RULES, advise
from llmfleet.scaling.window import BINS, Seen
from tests.unit.scaling.builders import config

DAY = DAY_SECONDS


def at_kv(usage: float, seconds: float) -> "array[float]":
    """KV caches that were at this usage all the time."""
    bins = array("f", bytes(4 * BINS))
    bins[int(usage * BINS)] = seconds
    return bins


def case(seconds: float = 5 * HOUR, *, settings: ScalingConfig | None = None, **fields: Any) -> Case:
    """One replica watched for so long, working all the time at half its KV cache; shares are of that time."""
    shares = {name: seconds * fields.pop(name) for name in Seen.__slots__ if isinstance(fields.get(name), float)}
    usage = fields.pop("usage", 0.5)
    peaks = {name: fields.pop(name) for name in ("most_wanted", "most_below_min") if name in fields}
    seen = Seen(
        seconds=seconds,
        replica_seconds=seconds,
        kv=at_kv(usage, seconds),
        **({"working": seconds} | shares | peaks),
    )
    facts = EngineFacts(**{name: fields.pop(name) for name in EngineFacts.__slots__ if name in fields})
    return Case(seen=seen, facts=facts, config=settings, replicas=fields.pop("replicas", 1), **fields)


def only(found: Case) -> Recommendation:
    (one,) = advise(found)
    return one


SEQS: dict[str, Any] = {"waiting": 0.5, "full": 0.5, "full_seqs": 0.5 * 32, "full_kv": 0.5 * 0.1, "max_num_seqs": 32}
PREEMPTING: dict[str, Any] = {"preempting": 0.2, "preempting_seqs": 0.2 * 40}
ROOMY: dict[str, Any] = {"usage": 0.1}

CASES = [
    pytest.param(
        case(most_wanted=7, above_max=0.12, settings=config(most=4)),
        "RaiseMaxReplicas",
        "More than scaling.maxReplicas (4) were wanted for 12 % of the time in the last 5 h, up to 7: "
        "raise scaling.maxReplicas to 7",
        id="at maximum",
    ),
    pytest.param(
        case(**SEQS),
        "RaiseMaxNumSeqs",
        "Requests waited for 50 % of the replicas' time in the last 5 h with 32 in execution, all that "
        "engine.maxNumSeqs allows, and the KV cache 10 % full: raise engine.maxNumSeqs to 128.",
        id="all places taken, memory free: four times as many",
    ),
    pytest.param(
        case(**SEQS | {"full_kv": 0.5 * 0.4}), "RaiseMaxNumSeqs", "to 56.", id="as many as fill the cache to 70 %"
    ),
    pytest.param(
        case(**SEQS, max_num_batched_tokens=64),
        "RaiseMaxNumSeqs",
        "to 128 (and engine.maxNumBatchedTokens to at least 128).",
        id="vLLM wants as many tokens a step as sequences",
    ),
    pytest.param(
        case(waiting=0.3, budgeted=0.3, max_num_batched_tokens=256),
        "RaiseMaxNumBatchedTokens",
        "each engine step computed all the 256 tokens that engine.maxNumBatchedTokens allows, and the KV cache was "
        "less than half full: raise engine.maxNumBatchedTokens to 1024.",
        id="steps too small for the prompts",
    ),
    pytest.param(
        case(**PREEMPTING, kv_cache_dtype="auto", fp8_kv_cache=True),
        "UseFP8KVCache",
        "computed again for 20 % of the replicas' time in the last 5 h, with 40 in execution: set engine.kvCacheDtype",
        id="preemptions, and the GPU has fp8",
    ),
    pytest.param(
        case(**PREEMPTING, kv_cache_dtype="fp8", fp8_kv_cache=True),
        "LowerMaxNumSeqs",
        "set engine.maxNumSeqs to 30",
        id="preemptions, and fp8 is in use",
    ),
    pytest.param(
        case(**PREEMPTING, kv_cache_dtype="auto"), "LowerMaxNumSeqs", "to 30", id="preemptions on an older GPU"
    ),
    pytest.param(
        case(waiting=0.2, prefix_caching=False), "EnablePrefixCaching", "turn it on", id="prompts are computed again"
    ),
    pytest.param(
        case(DAY, at_min=0.005, most_below_min=2, settings=config(least=4)),
        "LowerMinReplicas",
        "never asked for more than 2 for long in the last 20 h, and scaling.minReplicas is 4: lower it to 2",
        id="never above the minimum",
    ),
    pytest.param(
        case(DAY, **ROOMY, replicas=3), "SetScaling", "set spec.scaling (minReplicas 1, maxReplicas 3)", id="three idle"
    ),
    pytest.param(
        case(DAY, **ROOMY, kv_cache_tokens=922_064),
        "UseSmallerProfile",
        "The KV cache of 922,064 tokens was less than 15 % full for 99 % of the time in the last 20 h, and nothing "
        "waited",
        id="one that is far too large",
    ),
]


@pytest.mark.parametrize(("found", "reason", "words"), CASES)
def test_each_recommendation_has_its_numbers_and_the_field(found: Case, reason: str, words: str) -> None:
    one = only(found)
    assert one.reason == reason
    assert words in one.message


def test_every_rule_and_every_word_of_the_list_has_a_case() -> None:
    assert {str(one.values[1]) for one in CASES} == {advice.value for advice in Advice} == {*ADVICE}
    assert len(RULES) == len(Advice)


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(case(0.9 * HOUR, **SEQS), id="less than an hour"),
        pytest.param(case(), id="all is well"),
        pytest.param(case(**SEQS | {"full": 0.04}), id="a place was missing for two minutes in an hour"),
        pytest.param(case(waiting=0.3, budgeted=0.3, max_num_batched_tokens=2048), id="more tokens a step hardly help"),
        pytest.param(case(waiting=0.3), id="waiting that nothing in the spec explains: compute"),
        pytest.param(case(**PREEMPTING, max_num_seqs=16), id="preemptions although few run: fewer would not be it"),
        pytest.param(case(waiting=0.3, prefix_caching=True), id="prefix caching is on"),
        pytest.param(case(waiting=0.3, prefix_caching=None), id="nobody knows whether it is"),
        pytest.param(case(DAY, at_min=0.02, settings=config(least=4)), id="the minimum is needed for half an hour"),
        pytest.param(case(5 * HOUR, **ROOMY), id="a quiet night says nothing of the day"),
        pytest.param(case(DAY, **ROOMY, waiting=0.02), id="memory is free, and requests wait"),
        pytest.param(case(DAY, **ROOMY, working=0.01), id="hardly any request"),
        pytest.param(case(DAY, usage=0.3), id="a third full"),
        pytest.param(case(DAY, **ROOMY, settings=config(least=2), at_min=1.0), id="two for safety"),
    ],
)
def test_no_recommendation(found: Case) -> None:
    assert advise(found) == ()


@pytest.mark.parametrize(
    ("reason", "between"),
    [
        pytest.param(Advice.RAISE_MAX_NUM_SEQS, SEQS | {"full": 0.03, "full_seqs": 0.03 * 32}, id="sequences"),
        pytest.param(Advice.LOWER_MAX_NUM_SEQS, {"preempting": 0.03, "preempting_seqs": 1.2}, id="preemptions"),
        pytest.param(Advice.USE_SMALLER_PROFILE, {"seconds": DAY, "usage": 0.27}, id="usage"),
        pytest.param(
            Advice.RAISE_MAX_REPLICAS, {"above_max": 0.03, "most_wanted": 7, "settings": config(most=4)}, id="replicas"
        ),
    ],
)
def test_one_that_stands_stays_until_its_number_is_well_below(reason: Advice, between: dict[str, Any]) -> None:
    """Between the two thresholds nothing changes, so nothing comes and goes."""
    assert advise(case(**between)) == ()
    assert [one.reason for one in advise(case(**between, standing={reason}))] == [reason]


def test_never_more_than_three_and_the_most_worth_first() -> None:
    found = case(
        **SEQS,
        **PREEMPTING,
        above_max=0.5,
        most_wanted=9,
        settings=config(most=4),
        prefix_caching=False,
        kv_cache_dtype="auto",
        fp8_kv_cache=True,
    )
    assert [one.reason for one in advise(found)] == ["RaiseMaxReplicas", "RaiseMaxNumSeqs", "UseFP8KVCache"]
