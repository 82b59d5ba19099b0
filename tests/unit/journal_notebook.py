"""A kernel's side of the journal of outputs, in few words."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_remote_kernels.link.journal import Journal
from jupyter_remote_kernels.link.journal_page import read_page
from jupyter_remote_kernels.protocol.frames import decode, encode
from jupyter_remote_kernels.protocol.messages import pack, unpack


def request(msg_id, cell_id="c1"):
    metadata = {} if cell_id is None else {"cellId": cell_id, "trusted": True}
    header = {"msg_id": msg_id, "msg_type": "execute_request"}
    return [pack(header), b"{}", pack(metadata), b'{"code": ""}']


def answer(msg_id, kind, **content):
    header = {"msg_id": f"{msg_id}-{kind}", "msg_type": kind}
    return [pack(header), pack({"msg_id": msg_id}), b"{}", pack(content)]


class Notebook:
    """A kernel's side of the journal, in few words."""

    def __init__(self, directory, limit_bytes=2**28):
        self.directory = Path(directory) / "outputs"
        self.limit_bytes = limit_bytes
        self.journal = Journal(lambda: self.directory, limit_bytes)

    def reopen(self):
        self.journal.close()
        self.journal = Journal(lambda: self.directory, self.limit_bytes)

    def begin(self, msg_id, cell_id="c1"):
        self.journal.begin(msg_id, request(msg_id, cell_id))

    def say(self, msg_id, kind, channel="iopub", number=0, **content):
        parts = answer(msg_id, kind, **content)
        self.journal.take(channel, parts, encode(channel, parts), number)

    def print(self, msg_id, text, number=0):
        self.say(msg_id, "stream", number=number, name="stdout", text=text)

    def finish(self, msg_id):
        self.say(msg_id, "execute_reply", "shell", status="ok", execution_count=7)
        self.say(msg_id, "status", execution_state="idle")

    def run(self, msg_id, cell_id="c1", text="x"):
        self.begin(msg_id, cell_id)
        self.print(msg_id, text)
        self.finish(msg_id)

    @property
    def ids(self):
        return [kept.facts.msg_id for kept in self.journal.list_kept()]

    def contents(self, msg_id, page_bytes=1000):
        """Return the contents of all messages that are kept, read in pages."""
        found, offset, is_complete = [], 0, False
        while not is_complete:
            page = read_page(self.journal.find(msg_id), offset, page_bytes)
            assert page.messages or page.is_complete
            found += [unpack(decode(data)[1][3]) for data in page.messages]
            offset, is_complete = page.next_offset, page.is_complete
        return found

    def text(self, msg_id):
        return "".join(content.get("text", "") for content in self.contents(msg_id))


@pytest.fixture
def notebook(tmp_path):
    opened = Notebook(tmp_path)
    yield opened
    opened.journal.close()
