"""State goes from each version of Python to each other; what cannot is named with its reason."""

from __future__ import annotations

import contextlib
import itertools

import pytest

from tests.contract import state_versions
from tests.contract.pythons import VERSIONS, find_pythons
from tests.contract.state_kernel import Mother, StateKernel

pytestmark = pytest.mark.timeout(180)

KINDS = ("FUNCTIONS", "CLASSES", "VALUES", "FRAMES")


@pytest.fixture(scope="module")
def mothers():
    """Return the version -> what starts kernels of it."""
    found = find_pythons()
    with contextlib.ExitStack() as stack:
        yield {version: stack.enter_context(Mother(found[version])) for version in VERSIONS}


@pytest.fixture(scope="module")
def streams(mothers):
    """Return version and kind -> a stream, and what the source says of it."""
    made = {}
    for version in VERSIONS:
        for kind in KINDS:
            with StateKernel(mothers[version]) as source:
                source.run(getattr(state_versions, kind))
                stream = source.capture(session=False)
                # Asking changes the generators, so that it is asked afterwards.
                source.run(getattr(state_versions, f"{kind}_HOLD"))
                shown = source.evaluate("globals().get('shown')")
                made[version, kind] = stream, shown
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source,target", list(itertools.permutations(VERSIONS, 2)))
def test_each_version_to_each(mothers, streams, source, target, kind):
    stream, shown = streams[source, kind]
    with StateKernel(mothers[target]) as kernel:
        report = kernel.restore(stream)
        assert report["lost"] == []
        assert report["unlinked"] == []
        kernel.run(getattr(state_versions, f"{kind}_HOLD"))
        assert kernel.evaluate("globals().get('shown')") == shown


def test_functions_of_a_timed_cell(mothers):
    with StateKernel(mothers["3.11"]) as source, StateKernel(mothers["3.13"]) as target:
        for number in (1, 2):
            source.run(
                f"%%time\ndef f{number}(n):\n    return n + {number}\nboth = lambda n: n * 7"
            )
        assert target.restore(source.capture(session=False))["lost"] == []
        target.run("assert (f1(1), f2(1), both(1)) == (2, 3, 7)")
        with StateKernel(mothers["3.9"]) as third:
            assert third.restore(target.capture(session=False))["lost"] == []
            third.run("assert (f1(1), f2(1), both(1)) == (2, 3, 7)")


BAD = """
exec("def made(n): return n + 1")
holder = {"f": made}
fine = 1
"""


def test_code_without_its_text_is_refused(mothers):
    with StateKernel(mothers["3.9"]) as source, StateKernel(mothers["3.13"]) as target:
        source.run(BAD)
        described = target.ask({"op": "describe"})
        assert described["version"].startswith("3.13.")
        plan = source.ask({"op": "plan", "names": None, "target": described})
        told = {entry["name"]: entry["reason"] for entry in plan["variables"]}
        expected = (
            "made was compiled by Python 3.9, the target is Python 3.13, "
            "and the text of its cell is not known"
        )
        assert told == {"made": expected, "holder": expected, "fine": None}
        # Whoever does not ask before is told afterwards.
        report = target.restore(source.capture(session=False))
        assert report["restored"] == ["fine"]
        assert {entry["name"] for entry in report["lost"]} == {"made", "holder"}
        for entry in report["lost"]:
            assert "compiled by Python 3.9, this kernel is Python 3.13" in entry["reason"]


def test_a_package_that_is_missing_is_named(mothers, tmp_path):
    (tmp_path / "their_package.py").write_text("class Thing: pass\ndef make(): return Thing()\n")
    with StateKernel(mothers["3.11"]) as source, StateKernel(mothers["3.13"]) as target:
        source.run(
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
            "import their_package; sys.path.pop(0)\n"
            "thing = [their_package.make()]; make = their_package.make; fine = 1"
        )
        described = target.ask({"op": "describe"})
        plan = source.ask({"op": "plan", "names": ["thing", "make", "fine"], "target": described})
        told = {entry["name"]: entry["reason"] for entry in plan["variables"]}
        expected = "the package their_package is not installed in the target's environment"
        assert told == {"thing": expected, "make": expected, "fine": None}
        report = target.restore(source.capture(["thing", "fine"], session=False))
        assert report["restored"] == ["fine"]
        assert [entry["reason"] for entry in report["lost"]] == [
            "the package their_package is not installed in this kernel's environment"
        ]


def test_another_version_of_a_package_is_told(mothers, tmp_path):
    for number in ("1.2.3", "2.0.0"):
        folder = tmp_path / number
        folder.mkdir()
        (folder / "their_package.py").write_text(f"__version__ = '{number}'\nclass Thing: pass\n")
    enter = "import sys; sys.path.insert(0, {!r}); import their_package".format
    with StateKernel(mothers["3.11"]) as source, StateKernel(mothers["3.13"]) as target:
        source.run(f"{enter(str(tmp_path / '1.2.3'))}; thing = their_package.Thing(); plain = 1")
        target.run(enter(str(tmp_path / "2.0.0")))
        report = target.restore(source.capture(["thing", "plain"], session=False))
        assert report["lost"] == []
        assert report["notes"] == {
            "thing": "made with another version: their_package 1.2.3 there, 2.0.0 here"
        }
