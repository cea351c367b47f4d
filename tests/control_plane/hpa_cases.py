"""What the HorizontalPodAutoscaler controller is asked in test_hpa_arithmetic.py: pods, their metrics, and settings."""

from dataclasses import dataclass

from llmfleet.sim.peers.hpa_pace import Behavior, Direction, Policy

AT_ONCE = Behavior(down=Direction(0, (Policy("Percent", 100, 15),)))


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of a case."""

    value: str | None = None
    """Its metric, as a quantity."""
    stage: str = "ready"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One HorizontalPodAutoscaler, and what it is told at its first look."""

    name: str
    pods: tuple[Pod, ...]
    targets: tuple[str, ...] = ("700m",)
    """averageValue of each metric of pods; those after the first are told `others`, for every pod."""
    others: tuple[str | None, ...] = ()
    external: str | None = None
    """The value of one external metric, instead of those of pods."""
    whole: bool = False
    """That metric has a value as its target, and not an averageValue."""
    behavior: Behavior | None = None
    failed: bool = False
    """One more pod, which failed."""
    becomes: int | None = None
    """spec.replicas after that look; None: that depends on when it comes."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of its metrics."""
        return tuple(f"{self.name}-{index}" for index in range(len(self.targets)))


def pods(*values: str | None, missing: int = 0, loading: int = 0, pending: int = 0) -> tuple[Pod, ...]:
    return (
        *(Pod(value=value) for value in values),
        *(Pod() for _ in range(missing)),
        *(Pod(stage="loading") for _ in range(loading)),
        *(Pod(stage="pending") for _ in range(pending)),
    )


CASES = (
    Case(name="within", becomes=3, pods=pods("750m", "750m", "750m")),
    Case(name="beyond", becomes=4, pods=pods("900m", "900m", "900m")),
    Case(name="edge", becomes=3, pods=pods("331m", "330m", "330m"), targets=("300m",)),
    Case(name="rounded-up", becomes=3, pods=pods("330100u", "330100u"), targets=("300m",)),
    Case(name="missing-up-turned", becomes=3, pods=pods("900m", "900m", missing=1)),
    Case(name="missing-up", becomes=8, pods=pods("1", "1", "1", missing=1), targets=("300m",)),
    Case(name="loading-up", becomes=5, pods=pods("900m", "900m", loading=1), targets=("400m",)),
    Case(name="pending-up", becomes=6, pods=pods("900m", "900m", pending=1), targets=("300m",)),
    Case(
        name="not-ready-counts",
        becomes=4,
        pods=(Pod(value="900m"), Pod(value="900m", stage="loading"), Pod(value="900m", stage="loading")),
    ),
    Case(name="missing-down", becomes=2, pods=pods("100m", "100m", missing=1), behavior=AT_ONCE),
    Case(name="pending-down", becomes=1, pods=pods("100m", "100m", pending=1), behavior=AT_ONCE),
    Case(name="failed-ignored", becomes=3, pods=pods("900m", "900m"), failed=True),
    Case(name="held-down", pods=pods("100m", "100m", "100m")),
    Case(name="down", becomes=1, pods=pods("100m", "100m", "100m"), behavior=AT_ONCE),
    Case(name="larger", becomes=4, pods=pods("100m", "100m"), targets=("700m", "2"), others=("5",)),
    Case(
        name="half-blind-down",
        becomes=2,
        pods=pods("100m", "100m"),
        targets=("700m", "2"),
        others=(None,),
        behavior=AT_ONCE,
    ),
    Case(name="half-blind-up", becomes=3, pods=pods("900m", "900m"), targets=("700m", "2"), others=(None,)),
    Case(name="shared", becomes=5, pods=pods(*[None] * 3), external="23", targets=("5",)),
    Case(name="one-of-ten", becomes=10, pods=pods(*[None] * 10), external="11", targets=("1",)),
    Case(name="two-of-ten", becomes=12, pods=pods(*[None] * 10), external="12", targets=("1",)),
    Case(
        name="average-of-full", becomes=2, pods=pods(*[None] * 4), external="950m", targets=("800m",), behavior=AT_ONCE
    ),
    Case(
        name="whole",
        becomes=2,
        pods=pods(None, loading=2),
        external="8600m",
        targets=("4400m",),
        whole=True,
        behavior=AT_ONCE,
    ),
    Case(name="twice-or-four", becomes=4, pods=pods(None), external="50", targets=("1",)),
    Case(name="twice", becomes=6, pods=pods(*[None] * 3), external="50", targets=("1",)),
    Case(name="four-more", becomes=5, pods=pods(None), external="50", targets=("1",), behavior=Behavior()),
    Case(
        name="tenth",
        becomes=4,
        pods=pods(*[None] * 3),
        external="50",
        targets=("1",),
        behavior=Behavior(up=Direction(0, (Policy("Percent", 10, 60),))),
    ),
    Case(
        name="half",
        becomes=1,
        pods=pods(*[None] * 3),
        external="1",
        targets=("1",),
        behavior=Behavior(down=Direction(0, (Policy("Percent", 50, 60),))),
    ),
    Case(
        name="smaller-change",
        becomes=8,
        pods=pods(*[None] * 5),
        external="50",
        targets=("1",),
        behavior=Behavior(up=Direction(0, (Policy("Percent", 50, 60), Policy("Pods", 4, 60)), select="Min")),
    ),
    Case(
        name="forbidden",
        becomes=3,
        pods=pods(*[None] * 3),
        external="1",
        targets=("1",),
        behavior=Behavior(down=Direction(0, (Policy("Percent", 100, 60),), select="Disabled")),
    ),
    Case(
        name="up-window",
        becomes=2,
        pods=pods(*[None] * 2),
        external="9",
        targets=("1",),
        behavior=Behavior(up=Direction(600, (Policy("Pods", 4, 60),))),
    ),
)
SERIES = Case(
    name="series",
    pods=pods(*[None] * 2),
    external="",
    targets=("1",),
    behavior=Behavior(up=Direction(0, (Policy("Pods", 2, 900),)), down=Direction(12, (Policy("Pods", 1, 900),))),
)
