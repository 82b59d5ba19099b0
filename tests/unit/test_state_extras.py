"""What a kernel holds beside its variables: how it is looked for."""

from __future__ import annotations

import gc
import os
import sys
import types

import pytest

from jupyter_remote_kernels.state import patches
from jupyter_remote_kernels.state.extras import _make_resolve


def test_folders_are_resolved_as_the_system_does(tmp_path, monkeypatch):
    deep = tmp_path / "real" / "deep" / "deeper"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real" / "circle").symlink_to("circle")
    monkeypatch.chdir(tmp_path / "link")
    resolve = _make_resolve()
    for folder in (
        str(deep),
        str(tmp_path / "link" / "deep" / "deeper"),
        str(tmp_path / "link" / ".." / "link" / "deep"),
        str(tmp_path / "real" / "circle" / "x"),
        str(tmp_path / "nobody" / "there"),
        "deep/deeper",
        "deep/",
        "./deep",
        "..",
        "",
        "/",
    ):
        assert resolve(folder) == os.path.realpath(folder), folder


class Notebook:
    """A shell as far as patches know one."""

    def __init__(self):
        self.user_module = types.ModuleType("__main__")
        self.user_ns = vars(self.user_module)

    def run(self, text):
        exec(text, self.user_ns)  # noqa: S102 - its own


class TestPatches:
    @pytest.fixture
    def notebook(self):
        return Notebook()

    @pytest.fixture
    def module(self, monkeypatch):
        """A module with a class, as a package has them."""
        module = types.ModuleType("painter")
        exec("class Brush: pass", vars(module))  # noqa: S102 - so that it is of the module
        monkeypatch.setitem(sys.modules, "painter", module)
        return module

    @pytest.fixture
    def search(self, monkeypatch):
        """Counts how often everything was looked at."""
        calls = []
        found = patches._search
        monkeypatch.setattr(patches, "_search", lambda names: [*found(names), calls.append(1)][:-1])
        return calls

    DEFINITIONS = """
import functools
def f(): pass
def g(): return 1
g2 = g
class A:
    def m(self): pass
    n = m
"""

    def test_what_only_the_notebook_holds_is_not_looked_for(self, notebook, module, search):
        notebook.run("x = 1")
        assert patches.list_patches(notebook) == []
        notebook.run(self.DEFINITIONS)
        assert patches.list_patches(notebook) == []
        assert search == []

    def test_the_cell_that_runs_is_nothing_of_the_notebook(self, notebook, search):
        notebook.ask = lambda: patches.list_patches(notebook)
        notebook.user_ns["notebook"] = notebook
        notebook.run("found = notebook.ask()")
        assert (notebook.user_ns["found"], search) == ([], [])

    @pytest.mark.parametrize(
        "patch",
        [
            "painter.f = f",
            "painter.f = lambda: 2",
            "painter.f = A.m",
            "painter.Brush.f = g",
            "painter.f = f; del f",
            "painter.Brush.f = f; painter.Brush.f.__name__ = 'q'",
            "import gc; painter.f = f; gc.freeze()",
        ],
    )
    def test_what_others_hold_is_found(self, notebook, module, patch):
        notebook.run(f"import painter\n{self.DEFINITIONS}\n{patch}")
        try:
            ((owner, name, function),) = patches.list_patches(notebook)
        finally:
            gc.unfreeze()
        assert (owner in (module, module.Brush), name) == (True, "f")
        assert function is owner.f

    def test_what_anything_else_holds_is_looked_for(self, notebook, module, search):
        notebook.run(self.DEFINITIONS + "kept = [f]")
        assert patches.list_patches(notebook) == []
        assert search == [1]
