"""What comes in: requests a second, how long they are, and whether the rate has just stepped up. Pure.

Between interval and work term: Intervals -> Load (memory) -> Demand. Demand is of requests that arrive, not of those
that are served: served tokens stop growing when a replica is full, and with long answers they follow a step of the
arrivals only minutes later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, sqrt

from llmfleet.scaling.interval import Interval

WINDOW = 120.0
"""Seconds over which the rate of arrivals is taken while it does not step."""
STEP = 1.5
"""Times the rate before at which arrivals may have stepped up."""
CHANCE = 4.5
"""Standard deviations by which a step must stand out: of independent arrivals, times the burstiness that was seen."""
FIRST_SIGN = 2.0
"""The same for a single look to count as what may be the beginning of a step."""
LIKELY = 3.5
"""The same for two looks to count as a step that the next look makes certain."""
LENGTHS_WINDOW = 600.0
"""Seconds in which what was seen of requests' lengths loses most of its weight."""
MIN_REQUESTS = 20.0
"""Requests of which lengths must be known before they mean anything."""
BURST_WINDOW = 300.0
"""Seconds in which what was seen of the arrivals' variance loses most of its weight."""
YOUNG = 30.0
"""Seconds after a step in which lengths are taken from before it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One look at all replicas: rates per second."""

    seconds: float
    arrivals: float
    tokens: float
    """Tokens computed: of prompts, and generated. Of a queue that becomes shorter only as many as arrive count."""
    reads: float
    """Tokens of KV cache read, counted alike."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Sums over requests, in which old ones fade."""

    admitted: float = 0.0
    prompt: float = 0.0
    computed: float = 0.0
    ended: float = 0.0
    """Requests that ended, and half of those by which the batches grew: they have had half of their answer."""
    generated: float = 0.0
    running: float = 0.0
    """Requests in execution times seconds."""
    held: float = 0.0
    """Tokens of KV cache held times seconds."""

    def after(self, intervals: Sequence[Interval], seconds: float) -> "Lengths":
        """Fade, and add."""
        kept = exp(-seconds / LENGTHS_WINDOW)
        return Lengths(
            admitted=kept * self.admitted + sum(one.admitted for one in intervals),
            prompt=kept * self.prompt + sum(one.prompt_tokens for one in intervals),
            computed=kept * self.computed + sum(one.computed_tokens for one in intervals),
            ended=kept * self.ended + sum(max(0.0, one.ended + one.growth / 2) for one in intervals),
            generated=kept * self.generated + sum(one.generated_tokens for one in intervals),
            running=kept * self.running + sum(one.running * one.seconds for one in intervals),
            held=kept * self.held + sum(one.kv_tokens * one.seconds for one in intervals),
        )

    @property
    def known(self) -> bool:
        """Whether enough requests were seen."""
        return min(self.admitted, self.ended) >= MIN_REQUESTS and self.running > 0


_NOTHING_SEEN = Lengths()


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The load of the whole fleet."""

    arrivals: float
    """Requests per second."""
    scatter: float = 0.0
    """Standard error of rate and lengths, as a share, if requests come independently and scatter by their mean."""
    prompt: float
    """Prompt tokens of a request that have to be computed: those in the prefix cache have not."""
    output: float
    """Tokens that it generates."""
    context: float
    """Tokens of KV cache that it holds, mean over its life."""
    tokens: float
    """Tokens per second that are computed now."""
    reads: float
    """Tokens of KV cache per second that are read now."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is remembered of the arrivals."""

    taken: float = -inf
    """When the newest page came that was taken in."""
    flows: tuple[Flow, ...] = ()
    """Looks within WINDOW since the last step of the rate, oldest first."""
    lengths: Lengths = _NOTHING_SEEN
    rising: bool = False
    """The newest look may have seen the beginning of a step: the next one will know its height."""
    before: Lengths = _NOTHING_SEEN
    """Lengths as they were known before the last step, or what may be one."""
    young_until: float = -inf
    """Until when these count: batches are young after a step, so that tokens and ends do not fit together."""
    burstiness: float = 1.0
    """Variance of the arrivals of a look over that of independent ones."""

    def after(self, newest: Sequence[Interval]) -> "Load":
        """Take in the newest interval of each replica; the load itself where none of them is new."""
        fresh = [one for one in newest if one.at > self.taken]
        if not fresh:
            return self
        seconds = sum(one.seconds for one in newest) / len(newest)
        arrivals = max(0.0, sum(one.arrived / one.seconds for one in newest))
        admitted = sum(one.admitted / one.seconds for one in newest)
        share = arrivals / admitted if admitted > arrivals else 1.0
        flow = Flow(
            seconds=seconds,
            arrivals=arrivals,
            tokens=share * sum((one.computed_tokens + one.generated_tokens) / one.seconds for one in newest),
            reads=share * sum(one.steps * one.kv_tokens / one.seconds for one in newest),
        )
        at = max(one.at for one in fresh)
        known = self.flows if at - self.taken <= WINDOW else ()
        burstiness = self._burstiness(known, flow)
        flows, rising, stepped = _joined(known, flow, rising=self.rising, burstiness=burstiness)
        before, young_until = self.before, self.young_until
        if rising or stepped:
            before, young_until = before if at < young_until else self.lengths, at + YOUNG
        lengths = self.lengths.after(fresh, seconds)
        return Load(at, flows, lengths, rising, before, young_until, burstiness)

    def _burstiness(self, known: Sequence[Flow], flow: Flow) -> float:
        """With a new look, by its difference from the last one: so a step counts once, not until the mean has followed.

        No difference counts for more than a step that is just seen for certain.
        """
        if not known:
            return self.burstiness
        last = known[-1]
        chance = flow.arrivals / flow.seconds + last.arrivals / last.seconds
        if chance <= 0:
            return self.burstiness
        seen = (flow.arrivals - last.arrivals) ** 2 / chance
        kept = exp(-flow.seconds / BURST_WINDOW)
        return kept * self.burstiness + (1 - kept) * min(CHANCE**2, seen)

    @property
    def demand(self) -> Demand | None:
        """What comes in; None while too little was seen."""
        lengths = self.before if self.taken < self.young_until and self.before.known else self.lengths
        if not self.flows or not lengths.known:
            return None
        flows = self.flows[:-1] if self.rising else self.flows
        seconds = sum(flow.seconds for flow in flows)
        prompt, output = lengths.prompt / lengths.admitted, lengths.generated / lengths.ended
        arrivals = _mean(flows)
        return Demand(
            arrivals=arrivals,
            scatter=sqrt(1 / max(1.0, arrivals * seconds) + 1 / lengths.admitted),
            prompt=lengths.computed / lengths.admitted,
            output=max(1.0, output),
            context=max(lengths.held / lengths.running, prompt + output / 2),
            tokens=sum(flow.tokens * flow.seconds for flow in flows) / seconds,
            reads=sum(flow.reads * flow.seconds for flow in flows) / seconds,
        )


def _joined(
    flows: tuple[Flow, ...], flow: Flow, *, rising: bool, burstiness: float
) -> tuple[tuple[Flow, ...], bool, bool]:
    """The looks with a new one; whether it may have seen the beginning of a step; whether there was one.

    A look that stands out from those before may have seen a part of a step, however certain that there is one: the next
    look decides. Where that is not sure either, and stands out from the first, the first was chance and this one may
    have seen the part; and where the two together make a step likely, a third look decides. Looks before a step are
    forgotten.
    """
    looks, burstiness = _recent((*flows, flow)), max(1.0, burstiness)
    since, sign = _rise(looks, burstiness)
    climbs = _sign(looks[-since:-1] or looks[:-1], flow, burstiness) > FIRST_SIGN
    if sign > CHANCE and (rising or not climbs):
        return _of_the_step(looks[-max(1, since) :], burstiness), False, True
    if rising:
        is_likely = sign > LIKELY and since <= 2  # noqa: PLR2004 (the first sign and this look)
        return looks, climbs or is_likely, False
    return looks, _sign(looks[:-1], flow, burstiness) > FIRST_SIGN, False


def _of_the_step(looks: tuple[Flow, ...], burstiness: float) -> tuple[Flow, ...]:
    """The looks at the new rate alone, of those from the first that stands out.

    That one is of both rates unless it shows as much as those after it, and so is another one that shows far less.
    """
    first, *later = looks
    is_whole = not later or (first.arrivals >= _mean(later) and _sign(later, first, burstiness) <= FIRST_SIGN)
    kept = looks if is_whole else looks[1:]
    while len(kept) > 1 and _mean(kept[1:]) > STEP * kept[0].arrivals:
        kept = kept[1:]
    return kept


def _sign(before: Sequence[Flow], look: Flow, burstiness: float) -> float:
    """By how many standard deviations a look stands out from those before it; 0 where not by a STEP."""
    seconds, arrived = _sums(before)
    return _deviations(seconds, arrived, look.seconds, look.arrivals * look.seconds, burstiness)


def _deviations(seconds: float, arrived: float, then_seconds: float, then_arrived: float, burstiness: float) -> float:
    """By how many standard deviations a rate is above the one before; 0 where not by a STEP, or nothing was before.

    How little is known of the rate before follows from the whole mean, since a few seconds without arrivals are not a
    rate of zero.
    """
    if not seconds:
        return 0.0
    before, after = arrived / seconds, then_arrived / then_seconds
    mean = (arrived + then_arrived) / (seconds + then_seconds)
    chance = burstiness * (after / then_seconds + mean / seconds)
    return (after - before) / sqrt(chance) if after > STEP * before and chance > 0 else 0.0


def _sums(flows: Sequence[Flow]) -> tuple[float, float]:
    """Seconds, and requests that arrived in them."""
    return sum(flow.seconds for flow in flows), sum(flow.arrivals * flow.seconds for flow in flows)


def _mean(flows: Sequence[Flow]) -> float:
    seconds, arrived = _sums(flows)
    return arrived / seconds


def _recent(flows: tuple[Flow, ...]) -> tuple[Flow, ...]:
    """The newest looks that together cover the window."""
    seconds = 0.0
    for count, flow in enumerate(reversed(flows), start=1):
        seconds += flow.seconds
        if seconds >= WINDOW:
            return flows[-count:]
    return flows


def _rise(looks: Sequence[Flow], burstiness: float) -> tuple[int, float]:
    """How many of the newest looks stand out most from those before, and by how many standard deviations.

    That is the test for a change at an unknown time by the largest likelihood ratio, over all cuts in two.
    """
    whole, came = _sums(looks)
    found, most = 0, 0.0
    seconds = arrived = 0.0
    for count, look in enumerate(looks[:-1], start=1):
        seconds += look.seconds
        arrived += look.arrivals * look.seconds
        sign = _deviations(seconds, arrived, whole - seconds, came - arrived, burstiness)
        if sign > most:
            found, most = len(looks) - count, sign
    return found, most


SILENCE = Load()
"""Nothing was seen."""
