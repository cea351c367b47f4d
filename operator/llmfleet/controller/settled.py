"""Since when an object's replicas are all of its present spec: from then on what engines say of themselves is of it."""

from dataclasses import dataclass, field

from llmfleet.controller.observed import Observed
from llmfleet.kube.resources import Key


@dataclass
class Settled:
    """The moment at which each object came to rest."""

    patience: float
    """Seconds after which no metrics of an earlier replica can be left."""
    _since: dict[Key, tuple[str, int, float]] = field(default_factory=dict)
    """uid, generation, and when it was first seen at rest."""

    def note(self, key: Key, observed: Observed, *, now: float) -> float | None:
        """Take note of an observation.

        Args:
            key: the object.
            observed: what is there.
            now: a clock that never goes back, seconds.

        Returns:
            Seconds until it has been at rest for long enough, 0 when it has; None: it is not at rest.
        """
        target, live = observed.target, observed.deployment
        if live is None or not live.is_observed or not live.updated == live.current == live.ready > 0:
            self._since.pop(key, None)
            return None
        uid, generation, since = self._since.get(key, ("", 0, now))
        if (uid, generation) != (target.uid, target.generation):
            since = now
        self._since[key] = (target.uid, target.generation, since)
        return max(0.0, since + self.patience - now)

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._since.pop(key, None)
