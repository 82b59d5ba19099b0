"""State streams made by hand, for tests that need no kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_remote_kernels.protocol.state_stream import (
    NO_DIGEST,
    VERSION,
    ChunkRecord,
    KnownRecord,
    cut,
    digest_of,
    encode_json,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jupyter_remote_kernels.protocol.state_stream import Buffer


class MadeGroup(NamedTuple):
    """A group: its record, and its parts in order."""

    record: dict[str, Any]
    parts: list[Buffer]


def make_group(
    names: Sequence[str],
    stream: Buffer,
    buffers: Sequence[Buffer] = (),
    *,
    kind: str = "values",
    singles: dict[str, bytes] | None = None,
) -> MadeGroup:
    """Return a group with these bytes.

    Parameters
    ----------
    names : sequence of str
        The variables in it.
    stream : bytes-like
        Their common stream.
    buffers : sequence of bytes-like
        What lies beside it.
    kind : str
        ``definitions``, ``values`` or ``session``.
    singles : dict of bytes, optional
        Streams of some variables alone.
    """
    singles = singles or {}
    record = {
        "type": "session" if kind == "session" else "group",
        "names": list(names),
        "kind": kind,
        "stream_bytes": len(stream),
        "singles": {name: {"stream_bytes": len(item)} for name, item in singles.items()},
        "buffers": [{"size": memoryview(item).nbytes} for item in buffers],
    }
    return MadeGroup(record, [stream, *singles.values(), *buffers])


def make_stream(
    groups: Sequence[MadeGroup],
    *,
    known: Collection[bytes] = (),
    has_digests: bool = True,
    variables: Sequence[dict[str, Any]] = (),
) -> bytes:
    """Return a whole state stream in one piece.

    Parameters
    ----------
    groups : sequence of MadeGroup
        With the session among them, if there is to be one.
    known : collection of bytes
        Digests of chunks that the receiver has.
    has_digests : bool
        Whether chunks carry their digests.
    variables : sequence of dict, optional
        The report at the end; by default every name is carried.
    """
    total = sum(memoryview(part).nbytes for group in groups for part in group.parts)
    algorithm = "sha256" if has_digests else "none"
    begin = {"type": "begin", "version": VERSION, "hash": algorithm, "total_bytes": total}
    out = bytearray(encode_json({**begin, "python": "3.11.7", "files": []}))
    for number, group in enumerate(groups):
        out += encode_json({**group.record, "id": number})
        for part in group.parts:
            for chunk in cut(part):
                digest = digest_of(chunk) if has_digests else NO_DIGEST
                if digest in known:
                    out += b"".join(KnownRecord(digest, chunk.nbytes).encode())
                else:
                    out += b"".join(ChunkRecord(digest, chunk).encode())
    report = list(variables) or [
        {"name": name, "type": "bytes", "size_bytes": 1, "status": "carried", "reason": None}
        for group in groups
        for name in group.record["names"]
    ]
    out += encode_json({"type": "end", "variables": report})
    return bytes(out)
