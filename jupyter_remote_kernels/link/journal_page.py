"""Reading a transcript, a page at a time; needs nothing but its files, so any thread can do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_remote_kernels.link.journal_file import parse_entries

if TYPE_CHECKING:
    from jupyter_remote_kernels.link.journal import Kept
    from jupyter_remote_kernels.link.journal_file import Segment

PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Page:
    """Some messages of a transcript.

    Attributes
    ----------
    offset, next_offset : int
        Where it begins, and where the next one does.
    is_complete : bool
        Whether there was nothing more when it was read.
    messages : list of memoryview
        In the framing of a websocket.
    """

    offset: int
    next_offset: int
    is_complete: bool
    messages: list[memoryview]


def read_page(kept: Kept, offset: int, page_bytes: int = PAGE_BYTES) -> Page:
    """Read what comes at or after an offset: about one page, and at least one message.

    Parameters
    ----------
    kept : Kept
        The execution, as the journal has described it.
    offset : int
        Where to begin. One that is within a message means the next one.
    page_bytes : int, optional
        How much to read.
    """
    start = position = max(offset, kept.segments[0].base if kept.segments else 0)
    messages: list[memoryview] = []
    size = 0
    for segment in kept.segments:
        end = segment.base + segment.size
        if end <= position:
            continue
        data = _read(segment)
        for entry in parse_entries(data):
            entry_end = segment.base + entry.end
            if segment.base + entry.start < position:
                continue
            if entry.kind == b"M":
                if messages and size >= page_bytes:
                    return Page(start, position, is_complete=False, messages=messages)
                messages.append(entry.payload)
                size += entry.payload.nbytes
            position = entry_end
        # What is torn, or has been dropped meanwhile, is not waited for.
        position = max(position, end)
    return Page(start, position, is_complete=True, messages=messages)


def _read(segment: Segment) -> bytes:
    try:
        with segment.path.open("rb") as file:
            return file.read(segment.size)
    except OSError:
        return b""
