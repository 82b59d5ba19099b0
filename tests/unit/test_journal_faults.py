"""The journal of outputs over full disks, lost directories and the end of processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jupyter_remote_kernels.link.journal import Journal
from tests.unit.journal_notebook import Notebook, answer, notebook, request

__all__ = ["notebook"]


class TestFaults:
    """Disks and directories that do not do what they should."""

    def test_full_disk_holds_up_no_message_and_is_counted(self, notebook, caplog):
        notebook.begin("m1")
        notebook.print("m1", "a")
        notebook.journal.flush()
        (path,) = notebook.directory.iterdir()
        _fill_up(notebook.journal, path.stat().st_size + 10)
        notebook.print("m1", "b" * 1000)
        notebook.journal.flush()
        _fill_up(notebook.journal, None)
        notebook.print("m1", "c")
        assert notebook.journal.find("m1").facts.dropped_messages == 2
        assert notebook.text("m1") == "a"
        assert caplog.text.count("cannot be kept") == 1
        notebook.run("m2", "c2", "goes on")
        assert notebook.text("m2") == "goes on"

    def test_directory_that_is_gone(self, notebook):
        notebook.run("m1")
        notebook.begin("m2", "c2")
        shutil.rmtree(notebook.directory)
        notebook.print("m2", "x" * 10_000_000)
        notebook.finish("m2")
        assert notebook.text("m1") == ""
        notebook.journal.forget("m1")
        notebook.run("m3", "c3", "again")
        assert notebook.text("m3") == "again"

    def test_runtime_that_ends_gets_no_directory(self, tmp_path):
        journal = Journal(lambda: None)
        journal.begin("m1", request("m1"))
        parts = answer("m1", "stream", text="a")
        journal.take("iopub", parts, None)
        journal.close()
        assert list(tmp_path.iterdir()) == []

    def test_garbage_among_the_files(self, notebook):
        notebook.run("m1", text="fine")
        for name, data in {
            "0000000007-0000000000.outputs": b"",
            "0000000008-0000000000.outputs": os.urandom(1000),
            "0000000009-0000000000.outputs": b"H" + b"\xff" * 16 + b"{}",
            "0000000010-0000000000.outputs": _entry(b"H", b"[1]"),
            "0000000011-0000000000.outputs": _entry(b"H", b'{"base": 0, "before": 0}'),
            "notes.txt": b"somebody's",
        }.items():
            (notebook.directory / name).write_bytes(data)
        notebook.reopen()
        assert notebook.ids == ["m1"]
        assert notebook.text("m1") == "fine"
        assert (notebook.directory / "notes.txt").exists()


def _entry(kind, payload):
    return kind + (0).to_bytes(8, "little") + len(payload).to_bytes(8, "little") + payload


def _fill_up(journal, size):
    """Let the files of this process grow to this size at most: what a full disk does."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size is None else size, hard))


WRITER = """
import sys
from tests.unit.journal_notebook import Notebook
notebook = Notebook(sys.argv[1], int(sys.argv[2]))
notebook.begin("m1")
print("begun", flush=True)
number = 0
while True:
    for _ in range(50):
        number += 1
        notebook.print("m1", f"{number};" + "x" * (number % 977), number)
    notebook.journal.flush()
    print(number, flush=True)
"""


@pytest.mark.parametrize("limit_bytes", [2**28, 3_000_000])
def test_killed_writer_loses_nothing_that_it_had_acknowledged(tmp_path, limit_bytes):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), str(limit_bytes)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    acknowledged = 0
    for line in writer.stdout:
        if line.strip().isdigit():
            acknowledged = int(line)
            if acknowledged >= 10_000:
                writer.send_signal(signal.SIGKILL)
                break
    acknowledged = max([acknowledged, *(int(line) for line in writer.stdout if line[-1] == "\n")])
    writer.wait()
    writer.stdout.close()
    notebook = Notebook(tmp_path, limit_bytes)
    # What was not acknowledged comes again, maybe more of it than was missing.
    last = acknowledged + 500
    for number in range(acknowledged + 1, last + 1):
        notebook.print("m1", f"{number};" + "x" * (number % 977), number)
    notebook.journal.flush()
    contents = notebook.contents("m1", 2**20)
    numbers = [int(content["text"].partition(";")[0]) for content in contents]
    kept = notebook.journal.find("m1")
    assert numbers == list(range(kept.facts.dropped_messages + 1, last + 1))
    assert (kept.facts.dropped_messages > 0) == (limit_bytes < 2**28)
    notebook.journal.close()


class JournalMachine(RuleBasedStateMachine):
    """Any order of requests, messages, ends of processes and torn files, beside a plain list."""

    def __init__(self):
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.notebook = Notebook(self.directory)
        self.model = {}  # msg_id -> texts; in order
        self.cells = {}
        self.sent = []  # (number, msg_id, text): what the link delivers in order
        self.acknowledged = 0
        self.count = 0

    def teardown(self):
        self.notebook.journal.close()
        shutil.rmtree(self.directory)

    @rule(cell=st.integers(0, 3))
    def begin(self, cell):
        self.count += 1
        msg_id = f"m{self.count}"
        self.notebook.begin(msg_id, f"c{cell}")
        self.model.pop(self.cells.get(cell), None)
        self.cells[cell] = msg_id
        self.model[msg_id] = []

    @precondition(lambda self: self.model)
    @rule(data=st.data(), text=st.text("ab", min_size=1, max_size=40))
    def say(self, data, text):
        msg_id = data.draw(st.sampled_from(sorted(self.model)))
        number = len(self.sent) + 1
        self.sent.append((number, msg_id, text))
        self.notebook.print(msg_id, text, number)
        self.model[msg_id].append(text)

    @rule()
    def acknowledge(self):
        self.notebook.journal.flush()
        self.acknowledged = len(self.sent)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def forget(self, data):
        msg_id = data.draw(st.sampled_from(sorted(self.model)))
        self.notebook.finish(msg_id)
        self.notebook.journal.forget(msg_id)
        del self.model[msg_id]

    @rule(cut=st.integers(0, 120))
    def kill(self, cut):
        """The process dies: what was not flushed is gone, and the last file may be torn."""
        journal = self.notebook.journal
        before = {path: path.stat().st_size for path in self._files()}
        journal.flush()
        torn = [path for path in self._files() if path.stat().st_size > before.get(path, 0)]
        for transcript in journal._index.by_id.values():
            transcript.close()
        for path in torn[:1]:
            os.truncate(path, max(before.get(path, 0), path.stat().st_size - cut))
        for path in torn[1:]:
            os.truncate(path, before.get(path, 0))
        self.notebook.journal = Journal(lambda: self.notebook.directory)
        for number, msg_id, text in self.sent[self.acknowledged :]:
            self.notebook.print(msg_id, text, number)

    def _files(self):
        directory = self.notebook.directory
        return sorted(directory.iterdir()) if directory.exists() else []

    @invariant()
    def same_as_the_model(self):
        for kept in self.notebook.journal._index.by_id.values():
            assert kept.facts.msg_id in self.model

    @rule()
    def compare(self):
        assert set(self.notebook.ids) == set(self.model)
        for msg_id, texts in self.model.items():
            found = [c["text"] for c in self.notebook.contents(msg_id) if "text" in c]
            assert found == texts
        self.acknowledged = len(self.sent)


TestAnyOrder = JournalMachine.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
