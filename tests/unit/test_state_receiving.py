"""Parts of a group as they are received: from the socket, and from files that are checked first."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.state_stream import (
    NO_DIGEST,
    ChunkRecord,
    FileRecord,
    digest_of,
)
from jupyter_remote_kernels.state import pages
from jupyter_remote_kernels.state.receiving import Receiver
from jupyter_remote_kernels.state.wire import Reader

_CHUNK = 1 << 16


@pytest.fixture
def connect():
    """Return a receiver of records."""
    opened = []

    def connect(records, paths=()):
        ours, theirs = socket.socketpair()
        data = b"".join(bytes(piece) for record in records for piece in record.encode())
        thread = threading.Thread(target=ours.sendall, args=(data,))
        thread.start()
        receiver = Receiver(Reader(theirs))
        receiver.paths = [str(path) for path in paths]
        opened.append((receiver, thread, ours, theirs))
        return receiver

    yield connect
    for receiver, thread, ours, theirs in opened:
        receiver.close()
        thread.join()
        ours.close()
        theirs.close()


def _write(path, size):
    content = os.urandom(size)
    path.write_bytes(content)
    return content


def _records(content, file=0, start=0, end=None):
    end = len(content) if end is None else end
    places = [(at, content[at : min(at + _CHUNK, end)]) for at in range(start, end, _CHUNK)]
    return [FileRecord(digest_of(piece), at, len(piece), file) for at, piece in places]


def test_many_parts_of_a_file(connect, tmp_path, monkeypatch):
    # So that there are more of them than may be read ahead.
    monkeypatch.setattr("jupyter_remote_kernels.state.receiving.RUN_BYTES", 3 * _CHUNK)
    content = _write(tmp_path / "pack", 300 * _CHUNK + 77)
    middle = 200 * _CHUNK
    records = _records(content, start=middle) + _records(content, end=middle)
    receiver = connect(records, [tmp_path / "pack"])
    last, first = receiver.receive(len(content) - middle), receiver.receive(middle)
    receiver.begin()
    assert bytes(first.get()) == content[:middle]
    assert bytes(last.get()) == content[middle:]
    assert first.is_mapped
    # What is changed in memory is not changed in the file.
    first.get()[:5] = b"other"
    assert (tmp_path / "pack").read_bytes() == content


def test_a_part_of_several_files_is_joined(connect, tmp_path):
    content, other = _write(tmp_path / "a", 5 * _CHUNK), _write(tmp_path / "b", 2 * _CHUNK)
    records = [*_records(content, start=_CHUNK), *_records(other, file=1), *_records(content)[:1]]
    receiver = connect(records, [tmp_path / "a", tmp_path / "b"])
    part = receiver.receive(7 * _CHUNK)
    receiver.begin()
    assert bytes(part.get()) == content[_CHUNK:] + other + content[:_CHUNK]
    assert part.get() is part.get()


def test_what_is_damaged_is_not_given(connect, tmp_path):
    content = bytearray(_write(tmp_path / "pack", 400 * _CHUNK))
    records = _records(bytes(content))
    content[300 * _CHUNK + 5] ^= 1
    (tmp_path / "pack").write_bytes(content)
    receiver = connect(records, [tmp_path / "pack"])
    whole, damaged = receiver.receive(256 * _CHUNK), receiver.receive(144 * _CHUNK)
    receiver.begin()
    for _ in range(2):
        with pytest.raises(InvalidInput) as info:
            damaged.get()
        assert info.value.reason == "bad_chunk"
    assert bytes(whole.get()) == content[: 256 * _CHUNK]


def test_a_file_that_became_shorter_is_refused(connect, tmp_path):
    content = _write(tmp_path / "pack", 40 * _CHUNK)
    receiver = connect(_records(content), [tmp_path / "pack"])
    part = receiver.receive(len(content))
    os.truncate(tmp_path / "pack", 20 * _CHUNK)
    if pages._populate(*_page_of(content)) != 0:
        pytest.skip("this system cannot read pages ahead")
    receiver.begin()
    with pytest.raises(InvalidInput, match="cannot be read"):
        part.get()


def _page_of(content):
    address = pages.address_of(memoryview(content))
    return address - address % pages.mmap.PAGESIZE, pages.mmap.PAGESIZE


def test_a_file_without_what_it_should_have_is_refused(connect, tmp_path):
    content = _write(tmp_path / "pack", 2 * _CHUNK)
    receiver = connect([FileRecord(NO_DIGEST, _CHUNK, 2 * _CHUNK, 0)], [tmp_path / "pack"])
    with pytest.raises(InvalidInput, match="not in its file"):
        receiver.receive(len(content))


def test_who_stops_waits_for_nothing(connect, tmp_path):
    content = _write(tmp_path / "pack", 200 * _CHUNK)
    receiver = connect(_records(content), [tmp_path / "pack"])
    receiver.receive(len(content))
    receiver.begin()
    receiver.close()


def test_from_the_socket(connect):
    content = os.urandom(3 * _CHUNK)
    pieces = [content[at : at + _CHUNK] for at in range(0, len(content), _CHUNK)]
    records = [ChunkRecord(digest_of(piece), piece) for piece in pieces]
    part = connect(records).receive(len(content))
    assert bytes(part.get()) == content
    assert not part.is_mapped
    with pytest.raises(InvalidInput):
        connect([ChunkRecord(digest_of(b"a"), b"b")]).receive(1)
    assert bytes(connect([]).receive(0).get()) == b""
