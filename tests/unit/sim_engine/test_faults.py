"""How faults are written."""

import pytest

from sim_engine.faults import Fault, parse_fault, parse_faults


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("", ()),
        ("hang", (Fault("hang"),)),
        ("crash@30", (Fault("crash", after=30),)),
        ("crash=3@0.5, slow-start=60", (Fault("crash", "3", 0.5), Fault("slow-start", "60"))),
        ("metrics=nan@5,metrics=off@9", (Fault("metrics", "nan", 5), Fault("metrics", "off", 9))),
        ("start-error,clear@4", (Fault("start-error"), Fault("clear", after=4))),
    ],
)
def test_faults(*, text: str, faults: tuple[Fault, ...]) -> None:
    assert parse_faults(text) == faults


@pytest.mark.parametrize(
    "text", ["boom", "hang=1", "metrics", "metrics=odd", "slow-start", "slow-start=x", "crash=a", "crash@", "hang@-1"]
)
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError, match="fault"):
        parse_fault(text)
