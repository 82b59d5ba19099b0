"""Which cell has made a variable."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.state.origins import find_origins


def find(name, *cells):
    found = find_origins([name], cells, [f"raw {cell}" for cell in cells])
    return found[name]["number"] if found else None


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1",
        "x: int = 1",
        "a, (x, *b) = c",
        "if a:\n    x = 1",
        "for x in range(3): pass",
        "with open(p) as x: pass",
        "def x(): pass",
        "class x: pass",
        "import x.y",
        "import a as x",
        "from a import b as x",
        "print(x := 1)",
        "try:\n    x = 1\nexcept E as e:\n    pass",
        "x += 1",
    ],
)
def test_a_cell_that_binds_it(cell):
    assert find("x", "", cell, "y = 2") == 1


@pytest.mark.parametrize(
    "cell",
    [
        "print(x)",
        "a.x = 1",
        "x[0] = 1",
        "def f():\n    x = 1",
        "[x for x in y]",
        "lambda x: x",
        "try: pass\nexcept E as x: pass",
        "x = ",
        "x\0 = 1",
        "x = 1 + " + "(" * 5000,
    ],
)
def test_a_cell_that_does_not(cell):
    assert find("x", "", "x = 0", cell) == 1


def test_the_last_one_counts_and_is_told_as_it_was_written():
    found = find_origins(
        ["x", "y", "z"], ["", "x = y = 1", "x = 2"], ["", "x = y = 1", "%time x = 2"]
    )
    assert found == {
        "x": {"number": 2, "source": "%time x = 2"},
        "y": {"number": 1, "source": "x = y = 1"},
    }
