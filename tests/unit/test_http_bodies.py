"""Bodies of HTTP messages, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.http_bodies import (
    TAIL,
    ChunkedBody,
    SizedBody,
    chunk_head,
    find_body,
    last_chunk,
)

ERROR = {"reason": "kernel_died", "message": "Ünglück\r\n", "hint": "\N{PILE OF POO}"}


def feed(body, data, cuts):
    """Feed data in pieces; return what comes out."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    pieces = []
    for start, end in itertools.pairwise(places):
        pieces += body.feed(memoryview(data)[start:end])
    return b"".join(pieces)


@given(
    st.lists(st.binary(min_size=1, max_size=3000), max_size=5),
    st.lists(st.integers(min_value=0)),
    st.sampled_from([None, ERROR]),
)
def test_chunks_come_out_whole_however_they_are_cut(chunks, cuts, error):
    data = b"".join(chunk_head(len(chunk)) + chunk + TAIL for chunk in chunks)
    body = ChunkedBody()
    assert feed(body, data, cuts) == b"".join(chunks)
    assert not body.is_complete
    # What comes behind the end is somebody else's.
    assert feed(body, last_chunk(error) + b"GET", cuts) == b""
    assert body.is_complete
    assert body.error == error


@given(st.binary(max_size=3000), st.integers(0, 3000), st.lists(st.integers(min_value=0)))
def test_sized_body_ends_where_it_says(data, size, cuts):
    body = SizedBody(size)
    assert feed(body, data, cuts) == data[:size]
    assert body.is_complete == (len(data) >= size)


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"1_0\r\n",
        b"f" * 16 + b"\r\n",
        b"1\r\nab\r\n",
        b"1" * 20_000,
        b"0\r\n" + b"a: b\r\n" * 17,
    ],
)
def test_nonsense_is_refused(data):
    with pytest.raises(InvalidInput):
        feed(ChunkedBody(), data, range(0, len(data), 1000))


def test_others_ways_of_writing_are_understood():
    body = ChunkedBody()
    data = b"3;name=value\r\nabc\r\nA\n0123456789\n0\r\nX-Remote-Kernels-Error: nonsense\r\n\r\n"
    assert feed(body, data, []) == b"abc0123456789"
    assert (body.is_complete, body.error) == (True, {})


def test_headers_say_which():
    assert isinstance(find_body("Chunked", "5"), ChunkedBody)
    assert find_body(None, None).is_complete
    assert not find_body(None, " 7 ").is_complete
    for wrong in (("gzip", None), ("gzip, chunked", None)):
        with pytest.raises(InvalidInput):
            find_body(*wrong)
    for length in ("-1", "1.5", "x", "9" * 30, "\N{SUPERSCRIPT TWO}"):
        with pytest.raises(InvalidInput):
            find_body(None, length)
