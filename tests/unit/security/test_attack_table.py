"""The attack table in SECURITY.md is that of the tests, and each of its rows is tried somewhere."""

import ast

from tests.control_plane.attacks import ATTACKS, DEEDS
from tests.control_plane.attacks.table import ELSEWHERE, FILE, ROOT, rows, text


def test_the_document_has_the_rows_of_the_tests() -> None:
    assert FILE.read_text() == text(FILE.read_text()), "run `make generate`"


def test_there_are_enough_and_none_stands_twice() -> None:
    found = list(rows())
    assert len(found) >= 40
    assert len(set(found)) == len(found)
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)
    assert len({deed.act.__name__ for deed in DEEDS}) == len(DEEDS)


def test_each_row_has_one_end() -> None:
    for attack in ATTACKS:
        assert [bool(attack.refused), bool(attack.reason), bool(attack.harmless)].count(True) == 1, attack.name
        assert bool(attack.harmless) is (attack.proof is not None), attack.name


def test_what_is_said_to_be_tried_elsewhere_is() -> None:
    for row in ELSEWHERE:
        file, _, name = row.test.partition("::")
        tree = ast.parse((ROOT / file).read_text())
        functions = [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        assert name in functions, row.test
