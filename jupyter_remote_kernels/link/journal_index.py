"""Which transcript a message belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.messages import unpack

if TYPE_CHECKING:
    from jupyter_remote_kernels.link.journal_file import Transcript

_MOST_PARENTS = 1024


class Index:
    """The transcripts by request, by cell, and by what their messages carry.

    Attributes
    ----------
    by_id : dict of str to Transcript
        By the id of the request, oldest first.
    by_cell : dict of str to Transcript
        By the cell that it came from.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, Transcript] = {}
        self.by_cell: dict[str, Transcript] = {}
        # Replies carry their request's header, always in the same bytes.
        self._by_parent: dict[bytes, Transcript | None] = {}

    def enter(self, transcript: Transcript) -> None:
        """Take a transcript in."""
        self.by_id[transcript.facts.msg_id] = transcript
        self.by_cell[transcript.facts.cell_id] = transcript
        self._by_parent.clear()  # its first answer may have come before it

    def leave(self, transcript: Transcript) -> None:
        """Forget a transcript."""
        del self.by_id[transcript.facts.msg_id]
        if self.by_cell.get(transcript.facts.cell_id) is transcript:
            del self.by_cell[transcript.facts.cell_id]
        self._by_parent.clear()

    def recognise(self, parent: bytes) -> Transcript | None:
        """Return the transcript of the messages with this parent header."""
        try:
            return self._by_parent[parent]
        except KeyError:
            pass
        try:
            msg_id = unpack(parent).get("msg_id")
        except InvalidInput:
            msg_id = None
        found = self.by_id.get(msg_id) if isinstance(msg_id, str) else None
        if len(self._by_parent) >= _MOST_PARENTS:
            self._by_parent.clear()
        self._by_parent[parent] = found
        return found
