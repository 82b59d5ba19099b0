"""What is carried once can be carried again, and goes on as if nothing had been."""

from __future__ import annotations

import sys

import pytest

from tests.contract.state_kernel import Mother, StateKernel


@pytest.fixture(scope="module")
def mother():
    with Mother() as process:
        yield process


@pytest.fixture
def kernels(mother):
    with StateKernel(mother) as first, StateKernel(mother) as second, StateKernel(mother) as third:
        yield first, second, third


def show(kernel, code):
    """Run a cell; return what it displays, by type of message."""
    shown = []
    kernel.client.execute_interactive(code, output_hook=shown.append, timeout=60)
    return [
        m["content"]["data"] for m in shown if m["msg_type"] in ("execute_result", "display_data")
    ]


def test_outputs_go_on(kernels):
    first, second, third = kernels
    first.run("['one']")
    second.restore(first.capture())
    second.run("['two']")
    second.run("assert (_, __, Out[2]) == (['two'], ['one'], ['two'])")
    second.run("for _ in 'ab': pass")
    third.restore(second.capture())
    third.run("['three']")
    # As in IPython: who uses the name himself has it for himself.
    third.run("assert _ == 'b' and Out[5] == ['three']")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sqlite3 cannot read its memory before 3.11")
def test_databases_in_memory(kernels):
    first, second, third = kernels
    first.run(
        "import sqlite3\ndb = sqlite3.connect(':memory:')\n"
        "db.execute('create table t as select 1 as x')\n"
        'db.execute(\'attach ":memory:" as "side"\')\n'
        "db.execute('create table side.s as select 2 as y')\ndb.commit()"
    )
    assert second.restore(first.capture())["lost"] == []
    assert third.restore(second.capture())["lost"] == []
    third.run("assert db.execute('select x, y from t, side.s').fetchall() == [(1, 2)]")


def test_figures_are_shown_as_before(kernels):
    pytest.importorskip("matplotlib")
    first, second, third = kernels
    first.run("%matplotlib inline\n%config InlineBackend.figure_formats = ['svg']")
    first.run("import matplotlib.pyplot as plt\nplt.ioff()\nfig, ax = plt.subplots()")
    second.restore(first.capture())
    third.restore(second.capture())
    assert [sorted(data) for data in show(third, "fig")] == [["image/svg+xml", "text/plain"]]
    assert show(third, "plt.plot([1]); assert not plt.isinteractive()\n0;") == []


def test_texts_are_written_as_before(kernels):
    first, second, _ = kernels
    first.run("%precision 3\n%xmode Minimal\nget_ipython().ast_node_interactivity = 'all'")
    second.restore(first.capture())
    assert show(second, "1 / 3\n2 / 3") == [{"text/plain": "0.333"}, {"text/plain": "0.667"}]
    second.run("assert get_ipython().InteractiveTB.mode == 'Minimal'")


def test_functions_that_the_notebook_has_registered(kernels):
    first, second, third = kernels
    first.run(
        "class Money:\n    def __init__(self, n): self.n = n\n"
        "def show_money(money): return f'<b>{money.n}</b>'\n"
        "shell = get_ipython()\nruns = []\n"
        "shell.display_formatter.formatters['text/html'].for_type(Money, show_money)\n"
        "def count(*_): runs.append(1)\nshell.events.register('post_run_cell', count)\n"
    )
    second.restore(first.capture())
    third.restore(second.capture())
    (data,) = show(third, "Money(3)")
    assert data["text/html"] == "<b>3</b>"
    # Once after the cell that registered it, in the first kernel; once in the last.
    assert third.run("print(len(runs))") == "2\n"


def test_dictionaries_that_are_their_own_attributes(kernels):
    first, second, third = kernels
    first.run(
        "class Bunch(dict):\n"
        "    def __init__(self, **items): super().__init__(items); self.__dict__ = self\n"
        "one = Bunch(a=1); one.me = one; two = [one]"
    )
    second.restore(first.capture())
    third.restore(second.capture())
    third.run("one.b = 2; one['c'] = 3\nassert one.me is one is two[0] and one['b'] == 2")
    third.run("assert one.c == 3 and one.__dict__ is one")


def test_arrays_are_taken_as_they_are(kernels):
    pytest.importorskip("numpy")
    first, second, _ = kernels
    first.run("import numpy as np\nx = np.arange(1000.)")
    second.restore(first.capture())
    second.run("assert np.asarray(x, dtype=float) is x and x.dtype is np.dtype(float)")


def test_formulas_of_patsy(kernels):
    pytest.importorskip("patsy")
    first, second, third = kernels
    first.run(
        "import numpy as np, patsy\n"
        "def twice(x): return 2 * np.asarray(x)\n"
        "data = {'y': [1., 2., 4.], 'x': [1., 2., 3.], 'k': ['a', 'b', 'a']}\n"
        "y, X = patsy.dmatrices('y ~ center(x) + C(k) + twice(x)', data)"
    )
    assert second.restore(first.capture())["lost"] == []
    assert third.restore(second.capture())["lost"] == []
    third.run(
        "new = {'x': [5.], 'k': ['b']}\n"
        "(Z,) = patsy.build_design_matrices([X.design_info], new)\n"
        "assert Z.tolist() == [[1., 1., 3., 10.]], Z.tolist()\n"
        "assert X.design_info.column_names == ['Intercept', 'C(k)[T.b]', 'center(x)', 'twice(x)']\n"
        "assert isinstance(y, patsy.DesignMatrix) and y[2, 0] == 4"
    )
