"""The journal of outputs: what it keeps, replaces, drops and counts."""

from __future__ import annotations

import pytest

from jupyter_remote_kernels.errors import Conflict, NotFound
from jupyter_remote_kernels.protocol.messages import pack
from tests.unit.journal_notebook import Notebook, notebook, request

__all__ = ["notebook"]


def test_whole_transcript_of_a_cell(notebook):
    notebook.begin("m1")
    kept = notebook.journal.find("m1")
    assert kept.is_running
    assert kept.facts.cell_id == "c1"
    notebook.say("m1", "status", execution_state="busy")
    notebook.say("m1", "execute_input", execution_count=7, code="")
    assert notebook.journal.find("m1").facts.execution_count == 7
    notebook.print("m1", "a")
    notebook.print("m1", "b")
    notebook.finish("m1")
    kept = notebook.journal.find("m1")
    assert not kept.is_running
    assert kept.facts.messages == 6
    assert kept.first == 0
    assert notebook.text("m1") == "ab"


def test_only_cells_of_notebooks_are_kept(notebook):
    notebook.begin("m1", None)
    notebook.print("m1", "a")
    assert notebook.ids == []
    assert not notebook.directory.exists()


@pytest.mark.parametrize("cell_id", [3, "", "x" * 1000, ["a"], {"a": 1}, None, True])
def test_odd_cells_are_not_kept(notebook, cell_id):
    parts = request("m1")
    parts[2] = pack({"cellId": cell_id})
    notebook.journal.begin("m1", parts)
    assert notebook.ids == []


def test_odd_metadata_and_ids_are_not_kept(notebook):
    for metadata in (b'{"cellId"', b'["cellId"]', b"\xff"):
        parts = request("m1")
        parts[2] = metadata
        notebook.journal.begin("m1", parts)
    notebook.begin("x" * 1000)
    notebook.begin("")
    assert notebook.ids == []


def test_no_file_is_named_by_a_client(notebook):
    notebook.begin("../../m1", "../../../c1")
    notebook.begin("/m2", "/c2\0")
    (first, second) = sorted(path.name for path in notebook.directory.iterdir())
    assert first == "0000000001-0000000000.outputs"
    assert second == "0000000002-0000000000.outputs"
    assert notebook.ids == ["../../m1", "/m2"]


def test_files_are_their_owners_only(notebook):
    notebook.begin("m1")
    (path,) = notebook.directory.iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert notebook.directory.stat().st_mode & 0o777 == 0o700


def test_later_execution_of_a_cell_replaces_the_earlier_one(notebook):
    notebook.run("m1")
    notebook.run("m2", "c2")
    notebook.begin("m3")
    notebook.print("m1", "late")
    assert notebook.ids == ["m2", "m3"]
    assert len(list(notebook.directory.iterdir())) == 2


def test_same_request_twice_is_one(notebook):
    notebook.begin("m1")
    notebook.print("m1", "a")
    notebook.begin("m1")
    assert notebook.text("m1") == "a"


def test_messages_of_widgets_and_of_others_are_not_kept(notebook):
    notebook.begin("m1")
    notebook.say("m1", "comm_msg", comm_id="c", data={})
    notebook.say("other", "stream", text="a")
    notebook.say("m1", "complete_reply", "shell")
    notebook.journal.take("iopub", [b"{}", b"not json", b"{}", b"{}"], None)
    notebook.journal.take("iopub", [b"{}", pack({"msg_id": ["m1"]}), b"{}", b"{}"], None)
    assert notebook.contents("m1") == []


def test_question_waits_until_it_is_answered(notebook):
    notebook.begin("m1")
    notebook.say("m1", "input_request", "stdin", prompt="?", password=False)
    assert notebook.journal.find("m1").facts.pending_input
    notebook.reopen()
    assert notebook.journal.find("m1").facts.pending_input
    notebook.journal.answer([pack({"msg_type": "input_reply"}), b"{}", b"{}", b'{"value": "Ada"}'])
    assert not notebook.journal.find("m1").facts.pending_input
    assert notebook.contents("m1")[-1] == {"value": "Ada"}


def test_what_is_secret_is_not_kept(notebook):
    notebook.begin("m1")
    notebook.say("m1", "input_request", "stdin", prompt="?", password=True)
    notebook.journal.answer([pack({"msg_type": "input_reply"}), b"{}", b"{}", b'{"value": "Ada"}'])
    assert not notebook.journal.find("m1").facts.pending_input
    assert all(b"Ada" not in path.read_bytes() for path in notebook.directory.iterdir())


def test_kernel_that_has_gone_finishes_what_it_worked_on(notebook):
    notebook.begin("m1")
    notebook.begin("m2", "c2")
    notebook.journal.finish_running({"m2"})
    assert [kept.is_running for kept in notebook.journal.list_kept()] == [False, True]
    notebook.reopen()
    assert [kept.is_running for kept in notebook.journal.list_kept()] == [False, True]


def test_finished_ones_can_be_forgotten(notebook):
    notebook.run("m1")
    notebook.journal.forget("m1")
    assert notebook.ids == []
    assert list(notebook.directory.iterdir()) == []
    with pytest.raises(NotFound):
        notebook.journal.forget("m1")
    with pytest.raises(NotFound):
        notebook.journal.find("m1")


def test_running_ones_cannot_be_forgotten(notebook):
    notebook.begin("m1")
    with pytest.raises(Conflict) as caught:
        notebook.journal.forget("m1")
    assert caught.value.reason == "execution_running"


def test_another_process_carries_on(notebook):
    notebook.begin("m1")
    notebook.print("m1", "a", 1)
    notebook.print("m1", "b", 2)
    notebook.reopen()
    notebook.print("m1", "b", 2)
    notebook.print("m1", "c", 3)
    notebook.begin("m2", "c2")
    assert notebook.text("m1") == "abc"
    assert notebook.ids == ["m1", "m2"]


def test_link_that_begins_anew_counts_anew(notebook):
    notebook.begin("m1")
    notebook.print("m1", "a", 7)
    notebook.journal.renumber()
    notebook.reopen()
    notebook.print("m1", "b", 1)
    notebook.reopen()
    notebook.print("m1", "b", 1)
    assert notebook.text("m1") == "ab"


def test_what_no_kernel_has_been_heard_of(notebook):
    for number in range(1, 5):
        notebook.begin(f"m{number}", f"c{number}")
    notebook.say("m1", "execute_input", number=1, execution_count=1)
    notebook.say("m2", "status", execution_state="busy")
    notebook.finish("m4")
    assert not notebook.journal.unheard
    notebook.reopen()
    assert list(notebook.journal.unheard) == ["m2", "m3"]
    notebook.say("m2", "status", number=2, execution_state="busy")
    notebook.begin("m5", "c3")
    assert not notebook.journal.unheard


class TestLimit:
    """What happens beyond the bound."""

    LIMIT = 400_000

    @pytest.fixture
    def notebook(self, tmp_path):
        return Notebook(tmp_path, self.LIMIT)

    def used_bytes(self, notebook):
        return sum(path.stat().st_size for path in notebook.directory.iterdir())

    def test_oldest_finished_ones_go_first(self, notebook):
        notebook.begin("m0", "c0")
        for number in range(1, 9):
            notebook.run(f"m{number}", f"c{number}", "x" * 100_000)
        assert notebook.ids == ["m0", "m6", "m7", "m8"]
        assert notebook.journal.size_bytes == self.used_bytes(notebook) <= self.LIMIT

    def test_oldest_messages_of_a_running_one_go_and_are_counted(self, notebook):
        notebook.begin("m1")
        for number in range(1, 1001):
            notebook.print("m1", f"{number:09}" * 100, number)
            notebook.journal.flush()
        assert notebook.journal.size_bytes == self.used_bytes(notebook) <= self.LIMIT
        kept = notebook.journal.find("m1")
        contents = notebook.contents("m1", 50_000)
        assert kept.facts.messages == 1000
        assert kept.facts.dropped_messages == kept.first == 1000 - len(contents) > 0
        assert contents[0]["text"] == f"{kept.first + 1:09}" * 100
        notebook.reopen()
        again = notebook.journal.find("m1")
        assert (again.facts, again.first) == (kept.facts, kept.first)
        assert notebook.contents("m1", 50_000) == contents

    def test_one_message_beyond_the_limit_is_kept_until_the_next(self, notebook):
        notebook.begin("m1")
        notebook.print("m1", "x" * 2 * self.LIMIT)
        assert len(notebook.text("m1")) == 2 * self.LIMIT
        notebook.print("m1", "y")
        assert notebook.text("m1") == "y"
        assert notebook.journal.find("m1").facts.dropped_messages == 1

    def test_what_is_cleared_is_no_loss(self, tmp_path):
        notebook = Notebook(tmp_path)
        notebook.begin("m1")
        for _ in range(3):
            for _ in range(20):
                notebook.print("m1", "x" * 100_000)
            notebook.say("m1", "clear_output", wait=False)
        notebook.print("m1", "last")
        kept = notebook.journal.find("m1")
        assert kept.facts.dropped_messages == 0
        assert kept.size_bytes < 10_000
        assert notebook.text("m1") == "last"
        notebook.reopen()
        assert notebook.text("m1") == "last"

    def test_number_of_files_is_bounded(self, tmp_path, monkeypatch):
        monkeypatch.setattr("jupyter_remote_kernels.link.journal._MOST_EXECUTIONS", 3)
        notebook = Notebook(tmp_path)
        notebook.begin("m0", "c0")
        for number in range(1, 5):
            notebook.run(f"m{number}", f"c{number}")
        assert notebook.ids == ["m0", "m3", "m4"]
        for number in range(5, 9):
            notebook.begin(f"m{number}", f"c{number}")
        assert notebook.ids == ["m0", "m5", "m6"]
