"""The journal: what cells have put out, kept on this machine's disk for any page of the notebook.

Each execute request that comes from a notebook's cell has a transcript, which grows with every
message that answers it. A page that is opened or comes back rebuilds the cell's outputs from it.
The files outlive this process: the next one carries on where they end, and skips by its number on
the link what is in them already.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import Conflict, NotFound
from jupyter_remote_kernels.link.journal_file import Facts, Transcript, list_segments
from jupyter_remote_kernels.link.journal_index import Index
from jupyter_remote_kernels.link.journal_messages import LONGEST_ID, read_cell, read_changes
from jupyter_remote_kernels.protocol.frames import encode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from jupyter_remote_kernels.link.journal_file import Segment
    from jupyter_remote_kernels.protocol.frames import Buffer

KEPT_BYTES = 2 * 1024**3
_MOST_EXECUTIONS = 2000
_PENDING_BYTES = 256 * 1024
_SEGMENT_BYTES = 4 * 1024 * 1024
# Before a cell is cleared, at least so much must be in it for its files to be worth the work.
_CLEARED_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kept:
    """One execution as it is now.

    Attributes
    ----------
    facts : Facts
        What is known about it.
    is_running : bool
        Whether more is to come.
    first : int
        Messages before this one are not there any more.
    size_bytes : int
        What it takes on the disk.
    segments : tuple of Segment
        Where its messages are.
    """

    facts: Facts
    is_running: bool
    first: int
    size_bytes: int
    segments: tuple[Segment, ...]


class Journal:
    """The transcripts of one kernel's cells. Made and used on the control plane's loop.

    Parameters
    ----------
    find_directory : callable
        Returns where the files lie; None where nothing is to be kept, such as for a runtime
        that is ending, which takes them along.
    limit_bytes : int, optional
        What may be kept. Beyond it finished executions go, the oldest first, then the oldest
        messages of running ones, which are counted.
    soon : callable, optional
        Calls something a little later: one flush for all that comes until then.

    Attributes
    ----------
    limit_bytes : int
        What may be kept.
    unheard : dict of str to Transcript
        What an earlier process was asked for, and no kernel has said a word about yet.
    size_bytes : int
        What all transcripts take on the disk.
    """

    def __init__(
        self,
        find_directory: Callable[[], Path | None],
        limit_bytes: int = KEPT_BYTES,
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._soon = soon
        self._find_directory = find_directory
        self.limit_bytes = limit_bytes
        self._segment_bytes = max(4096, min(_SEGMENT_BYTES, limit_bytes // 16))
        self._index = Index()
        self._dirty: dict[Transcript, None] = {}
        self._dirty_bytes = 0
        self._open: Transcript | None = None
        self._sequence = 0
        self.size_bytes = 0
        self._has_failed = False
        self.unheard: dict[str, Transcript] = {}
        self._load()

    def make_directory(self) -> Path:
        """Return the owner-only directory of the files.

        Raises
        ------
        OSError
            When it cannot be made, or nothing is to be kept.
        """
        directory = self._find_directory()
        if directory is None:
            raise FileNotFoundError("the runtime is ending")
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return directory

    def begin(self, msg_id: str, parts: Sequence[Buffer]) -> None:
        """Begin the transcript of an execute request, if it comes from a notebook's cell."""
        cell_id = read_cell(parts)
        if cell_id is None or self._find_directory() is None:
            return
        if not 0 < len(msg_id) <= LONGEST_ID or msg_id in self._index.by_id:
            return
        self._remove(self._index.by_cell.get(cell_id))
        if not self._make_place():
            return
        self._sequence += 1
        facts = Facts(msg_id, cell_id, time.time())
        transcript = Transcript(facts, self._sequence, self._segment_bytes)
        self._enter(transcript)
        # At once: what the kernel answers to a request that nobody knows is not kept.
        self._dirty[transcript] = None
        self.flush()

    def take(
        self, channel: str, parts: Sequence[Buffer], encoded: Buffer | None, number: int = 0
    ) -> None:
        """Take a message of the kernel, or of the stand-in.

        Parameters
        ----------
        channel : str
            ``iopub``, ``shell``, ``stdin`` or ``control``.
        parts : sequence of buffers
            Header, parent header, metadata, content, buffers.
        encoded : bytes-like or None
            The message in the framing of a websocket, if there is that already.
        number : int, optional
            Its number on the link; one that has been taken already is skipped. 0 is none.
        """
        if not self._index.by_id:
            return
        transcript = self._index.recognise(bytes(parts[1]))
        if transcript is None or 0 < number <= transcript.facts.number:
            return
        if self.unheard:
            self.unheard.pop(transcript.facts.msg_id, None)
        if channel != "iopub" or b'"stream"' not in bytes(parts[0]):
            # All that is not the plain text of a busy cell has to be looked into.
            changes = read_changes(channel, parts)
            if changes is None:
                return
            self._change(transcript, changes)
        data = encode(channel, parts) if encoded is None else encoded
        transcript.add(number, data)
        self._mark(transcript)
        self._dirty_bytes += len(data)
        if self._dirty_bytes >= _PENDING_BYTES:
            self.flush()

    def answer(self, parts: Sequence[Buffer]) -> None:
        """Note that the user has answered the kernel's question; it asks one at a time."""
        for transcript in self._index.by_id.values():
            facts = transcript.facts
            if facts.pending_input:
                is_secret = facts.is_secret
                transcript.change(pending_input=False, is_secret=False)
                if not is_secret:
                    # The page shows it as part of the output.
                    transcript.add(0, encode("stdin", parts))
                self._mark(transcript)

    def finish_running(self, held: Collection[str]) -> None:
        """Note that the kernel has gone, and what it was working on with it.

        Parameters
        ----------
        held : collection of str
            Requests that wait for the next kernel.
        """
        for msg_id, transcript in self._index.by_id.items():
            if transcript.facts.finished_s is None and msg_id not in held:
                transcript.change(finished_s=time.time(), pending_input=False)
                self._dirty[transcript] = None
        self.flush()

    def renumber(self) -> None:
        """Note that the link counts from the beginning: it has begun another session."""
        for transcript in self._index.by_id.values():
            if transcript.facts.number:
                transcript.renumber()
                self._mark(transcript)

    def flush(self) -> None:
        """Write everything that was taken. What cannot be written never holds up a message."""
        if not self._dirty:
            return
        dirty, self._dirty = self._dirty, {}
        self._dirty_bytes = 0
        for transcript in dirty:
            self._write(transcript)
        if self.size_bytes > self.limit_bytes:
            self._shrink()

    def list_kept(self) -> list[Kept]:
        """Return all executions, oldest first."""
        self.flush()
        return [_describe(transcript) for transcript in self._index.by_id.values()]

    def find(self, msg_id: str) -> Kept:
        """Return one execution.

        Raises
        ------
        NotFound
            When nothing of it is kept.
        """
        self.flush()
        return _describe(self._get(msg_id))

    def forget(self, msg_id: str) -> None:
        """Remove a finished execution.

        Raises
        ------
        Conflict
            While it runs.
        NotFound
            When nothing of it is kept.
        """
        transcript = self._get(msg_id)
        if transcript.facts.finished_s is None:
            raise Conflict(
                "the cell is still running",
                reason="execution_running",
                hint="Its outputs can be removed when it has finished.",
            )
        self._remove(transcript)

    def close(self) -> None:
        """Write what is left and give the descriptors back; the files stay."""
        self.flush()
        for transcript in self._index.by_id.values():
            transcript.close()

    # -- inside ---------------------------------------------------------------

    def _mark(self, transcript: Transcript) -> None:
        """Note that something of it is to be written."""
        if not self._dirty and self._soon is not None:
            self._soon(self.flush)
        self._dirty[transcript] = None

    def _load(self) -> None:
        directory = self._find_directory()
        for sequence, paths in (list_segments(directory) if directory else {}).items():
            transcript = Transcript.load(paths, sequence, self._segment_bytes)
            self._sequence = max(self._sequence, sequence)
            if transcript is not None:
                self._remove(self._index.by_cell.get(transcript.facts.cell_id))
                self._enter(transcript)
                if transcript.is_unheard:
                    self.unheard[transcript.facts.msg_id] = transcript

    def _enter(self, transcript: Transcript) -> None:
        self.size_bytes += transcript.size_bytes
        self._index.enter(transcript)

    def _remove(self, transcript: Transcript | None) -> None:
        if transcript is None:
            return
        self.size_bytes -= transcript.size_bytes
        transcript.remove()
        self._index.leave(transcript)
        self._dirty.pop(transcript, None)
        self.unheard.pop(transcript.facts.msg_id, None)
        if self._open is transcript:
            self._open = None

    def _get(self, msg_id: str) -> Transcript:
        try:
            return self._index.by_id[msg_id]
        except KeyError:
            raise NotFound(
                f"no outputs of an execution {msg_id!r} are kept", reason="unknown_execution"
            ) from None

    def _change(self, transcript: Transcript, changes: dict[str, Any]) -> None:
        if changes.pop("clear", False):
            self._clear(transcript)
        facts = transcript.facts
        new = {name: value for name, value in changes.items() if getattr(facts, name) != value}
        has_ended = new.get("has_reply", facts.has_reply) and new.get("is_idle", facts.is_idle)
        if has_ended and facts.finished_s is None:
            new["finished_s"] = time.time()
        if new:
            transcript.change(**new)

    def _clear(self, transcript: Transcript) -> None:
        """Let go of what a cell has cleared, when that gives much room back."""
        if transcript.size_bytes + transcript.pending_bytes < _CLEARED_BYTES:
            return
        self._write(transcript)
        transcript.begin_segment()
        self._write(transcript)
        while transcript.can_shrink:
            self._drop_oldest(transcript)

    def _drop_oldest(self, transcript: Transcript) -> None:
        before = transcript.size_bytes
        transcript.drop_oldest()
        self.size_bytes += transcript.size_bytes - before

    def _write(self, transcript: Transcript) -> None:
        if self._open is not transcript and self._open is not None:
            # A kernel runs one cell at a time, however many wait: one descriptor will do.
            self._open.close()
        self._open = transcript
        before = transcript.size_bytes
        try:
            transcript.flush(self.make_directory)
        except OSError as error:
            # What a runtime says at its very end goes with it, which is no failure.
            if not self._has_failed and self._find_directory() is not None:
                self._has_failed = True
                _log.warning("outputs of a cell cannot be kept any more: %s", error)
        self.size_bytes += transcript.size_bytes - before

    def _make_place(self) -> bool:
        """Keep the number of files within bounds; returns whether there is room for one more."""
        if len(self._index.by_id) >= _MOST_EXECUTIONS:
            finished = (t for t in self._index.by_id.values() if t.facts.finished_s is not None)
            self._remove(next(finished, None))
        return len(self._index.by_id) < _MOST_EXECUTIONS

    def _shrink(self) -> None:
        """Bring the disk's use back under the limit."""
        for transcript in list(self._index.by_id.values()):
            if self.size_bytes <= self.limit_bytes:
                return
            if transcript.facts.finished_s is not None:
                self._remove(transcript)
        for transcript in self._index.by_id.values():
            while self.size_bytes > self.limit_bytes and transcript.can_shrink:
                dropped = transcript.facts.dropped_messages + transcript.oldest_messages
                # Said first: a drop that nobody was told of would be a silent one.
                transcript.change(dropped_messages=dropped)
                self._write(transcript)
                self._drop_oldest(transcript)


def _describe(transcript: Transcript) -> Kept:
    segments = transcript.segments
    facts = replace(transcript.facts)
    return Kept(
        facts,
        facts.finished_s is None,
        segments[0].before if segments else facts.messages,
        transcript.size_bytes,
        segments,
    )
