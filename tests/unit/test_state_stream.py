"""The state stream, as bytes: everything that is written is read again, in any pieces."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.state_stream import (
    CHUNK_BYTES,
    NO_DIGEST,
    ChunkRecord,
    DigestsRecord,
    FileRecord,
    JsonRecord,
    KnownRecord,
    Part,
    StreamReader,
    cut,
    digest_of,
    encode_digests,
    encode_json,
    list_parts,
)

RECORDS = [
    JsonRecord({"type": "begin", "text": "Grüße \ud800"}),
    DigestsRecord((b"a" * 32, b"b" * 32)),
    DigestsRecord(()),
    ChunkRecord(NO_DIGEST, b"x"),
    ChunkRecord(digest_of(b"y" * CHUNK_BYTES), b"y" * CHUNK_BYTES),
    KnownRecord(b"k" * 32, 2**40),
    FileRecord(b"f" * 32, 2**41, CHUNK_BYTES, 7),
    JsonRecord({"type": "end", "variables": []}),
]


def join(records):
    return b"".join(bytes(buffer) for record in records for buffer in record.encode())


def plain(records):
    return [
        ChunkRecord(record.digest, bytes(record.data))
        if isinstance(record, ChunkRecord)
        else record
        for record in records
    ]


@pytest.mark.parametrize("step", [1 << 30, 65536, 10007])
def test_what_is_written_is_read(step):
    data = join(RECORDS)
    reader = StreamReader()
    found = []
    for start in range(0, len(data), step):
        found += plain(reader.feed(data[start : start + step]))
    assert found == RECORDS
    assert reader.is_between_records


def test_single_bytes_are_enough():
    records = [record for record in RECORDS if len(join([record])) < 1000]
    reader = StreamReader()
    found = []
    for byte in join(records):
        found += plain(reader.feed(bytes([byte])))
    assert found == records


def test_an_unfinished_record_is_noticed():
    reader = StreamReader()
    assert reader.feed(encode_json({"type": "x"})[:-1]) == []
    assert not reader.is_between_records


def test_chunk_data_are_not_copied():
    data = bytearray(b"z" * 1000)
    last = ChunkRecord(NO_DIGEST, data).encode()[-1]
    assert isinstance(last, memoryview)
    assert last.obj is data


def head(kind, length):
    return struct.pack("<cQ", kind, length)


@pytest.mark.parametrize(
    "data",
    [
        head(b"?", 0),
        head(b"D", CHUNK_BYTES + 33),
        head(b"D", 32) + b"d" * 32,
        head(b"J", 2**40),
        head(b"J", 2) + b"[]",
        head(b"J", 1) + b"{",
        head(b"J", 2) + b"\xff\xff",
        head(b"J", 200_000) + b"[" * 200_000,
        head(b"K", 39) + b"k" * 39,
        head(b"F", 0),
        head(b"H", 33) + b"h" * 33,
    ],
    ids=lambda data: repr(bytes(data[:12])),
)
def test_nonsense_is_refused(data):
    with pytest.raises(InvalidInput) as caught:
        StreamReader().feed(data)
    assert caught.value.reason == "bad_state_stream"


def test_random_bytes_end_in_one_error_only():
    noise = random.Random(1)  # noqa: S311 - which bytes are flipped is no secret
    for _ in range(500):
        data = bytearray(join(RECORDS[:4]))
        data[noise.randrange(len(data))] ^= 1 << noise.randrange(8)
        with contextlib.suppress(InvalidInput):
            StreamReader().feed(data)


@pytest.mark.parametrize("data", [b"", b"x" * (CHUNK_BYTES + 1)])
def test_chunks_have_a_size(data):
    with pytest.raises(InvalidInput):
        ChunkRecord(NO_DIGEST, data).encode()


def test_parts_are_cut_from_their_own_beginning():
    sizes = [piece.nbytes for piece in cut(bytes(2 * CHUNK_BYTES + 5))]
    assert sizes == [CHUNK_BYTES, CHUNK_BYTES, 5]
    assert list(cut(b"")) == []


def test_digests_go_into_records():
    records = StreamReader().feed(b"".join(encode_digests([b"q" * 32] * 3)))
    assert records == [DigestsRecord((b"q" * 32,) * 3)]


def test_the_parts_of_a_group():
    group = {
        "stream_bytes": 10,
        "singles": {"a": {"stream_bytes": 3, "buffers": [0]}, "b": {"stream_bytes": 0}},
        "buffers": [{"size": 5}],
    }
    assert list_parts(group) == [
        Part("stream", "", 0, 10),
        Part("single", "a", 0, 3),
        Part("single", "b", 1, 0),
        Part("buffer", "", 0, 5),
    ]
    for wrong in ({}, {"stream_bytes": -1}, {"stream_bytes": 1, "buffers": [3]}):
        with pytest.raises(InvalidInput):
            list_parts(wrong)
