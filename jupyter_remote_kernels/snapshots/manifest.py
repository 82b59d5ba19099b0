"""The manifest: everything about a snapshot but its bytes, signed as a whole.

A document is one line of JSON, ``{"manifest":{...},"key":"<id>","signature":"<hex>"}``. The
signature is over the very bytes before it, so that no byte and no field is outside of it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_remote_kernels.errors import InvalidInput, SnapshotDamaged, SnapshotUntrusted
from jupyter_remote_kernels.protocol.state_stream import CHUNK_BYTES, DIGEST_BYTES, list_parts
from jupyter_remote_kernels.snapshots.store import check_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.protocol.state_stream import Part
    from jupyter_remote_kernels.snapshots.key import SnapshotKey

VERSION = 1
NAME_CHARACTERS, DESCRIPTION_CHARACTERS = 200, 4000

_BEFORE = b'{"manifest":'
_AFTER = re.compile(rb',"key":"([0-9a-f]{16})","signature":"([0-9a-f]{64})"\}\n')
_AFTER_BYTES = len(b',"key":"","signature":""}\n') + 16 + 64


class Chunk(NamedTuple):
    """Where the bytes of one chunk lie.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the bytes.
    pack : int
        Index into the manifest's packs.
    offset, size : int
        Its place in the pack.
    """

    digest: bytes
    pack: int
    offset: int
    size: int


@dataclass(frozen=True)
class Group:
    """What is saved in one stream, and fails or is chosen as one.

    Attributes
    ----------
    record : dict
        The record that begins it in a state stream.
    chunks : tuple of Chunk
        Of all its parts, in order.
    """

    record: dict[str, Any]
    chunks: tuple[Chunk, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The variables in it; none for the session."""
        return tuple(self.record.get("names", ()))

    @property
    def is_definitions(self) -> bool:
        """Whether it holds functions and classes, which others may need."""
        return self.record.get("kind") == "definitions"


@dataclass(frozen=True)
class SnapshotFacts:
    """What whoever takes a snapshot knows about it.

    Attributes
    ----------
    runtime_id : str
        Whose state it is.
    environment : str
        The name of the environment that it ran in.
    owner : str
        The user.
    automatic : bool
        Taken for a pause or by a rule, not by a person: retention may remove it.
    """

    runtime_id: str = ""
    environment: str = ""
    owner: str = ""
    automatic: bool = False


@dataclass(frozen=True)
class SnapshotSummary:
    """A snapshot in a list.

    Attributes
    ----------
    id, name, description, created_at : str
        ``created_at`` is UTC, ISO 8601.
    facts : SnapshotFacts
        What it was taken of.
    kernel : dict
        What the kernel said of itself: Python, platform, packages.
    total_bytes, new_bytes : int
        The state, and what this snapshot added to the store.
    variables : tuple of dict
        As in the capture's report: name, type, size, status, reason, path.
    problem : str
        Why it cannot be opened; empty when it can. All else but the id is unknown then.
    """

    id: str
    name: str = ""
    description: str = ""
    created_at: str = ""
    facts: SnapshotFacts = SnapshotFacts()
    kernel: dict[str, Any] | None = None
    total_bytes: int = 0
    new_bytes: int = 0
    variables: tuple[dict[str, Any], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Manifest:
    """A committed snapshot without its bytes.

    Attributes
    ----------
    id, name, description, created_at, facts, total_bytes, new_bytes
        See :class:`SnapshotSummary`.
    parent_id : str
        The snapshot whose chunks were known when this one was taken; may be gone.
    begin, end : dict
        First and last record of the state stream.
    packs : tuple of str
        The packs that its chunks lie in.
    groups : tuple of Group
        With the session, in the order of the stream.
    """

    id: str
    name: str
    description: str
    created_at: str
    facts: SnapshotFacts
    parent_id: str
    begin: dict[str, Any]
    packs: tuple[str, ...]
    groups: tuple[Group, ...]
    end: dict[str, Any]
    total_bytes: int
    new_bytes: int

    @property
    def variables(self) -> tuple[dict[str, Any], ...]:
        """The capture's report: each variable with what became of it."""
        return tuple(self.end.get("variables", ()))

    def chunks(self) -> Iterator[Chunk]:
        """All chunks in the order of the stream; one that is used twice comes twice."""
        for group in self.groups:
            yield from group.chunks

    def summary(self) -> SnapshotSummary:
        """Return what a list shows."""
        hidden = {"type", "version", "hash", "total_bytes", "files"}
        return SnapshotSummary(
            id=self.id,
            name=self.name,
            description=self.description,
            created_at=self.created_at,
            facts=self.facts,
            kernel={key: value for key, value in self.begin.items() if key not in hidden},
            total_bytes=self.total_bytes,
            new_bytes=self.new_bytes,
            variables=self.variables,
        )

    def renamed(self, name: str, description: str | None = None) -> Manifest:
        """Return it under another name; what a person has named is not automatic any more."""
        return replace(
            self,
            name=check_text("name", name, NAME_CHARACTERS),
            description=self.description
            if description is None
            else check_text("description", description, DESCRIPTION_CHARACTERS),
            facts=replace(self.facts, automatic=self.facts.automatic and not name),
        )

    def signed(self, key: SnapshotKey) -> bytes:
        """Return the document."""
        text = json.dumps(_encode(self), separators=(",", ":")).encode("ascii")
        before = _BEFORE + text + b',"key":"' + key.id.encode() + b'","signature":"'
        return before + key.sign(before).encode() + b'"}\n'


def check_text(what: str, text: str, most: int) -> str:
    """Return a name or description that a person gave.

    Raises
    ------
    InvalidInput
        When it is too long or holds control characters.
    """
    if len(text) > most:
        raise InvalidInput(f"The {what} is longer than {most} characters.")
    if any(ord(character) < 32 and character not in "\n\t" for character in text):
        raise InvalidInput(f"The {what} holds control characters.")
    return text


def read_manifest(document: bytes, key: SnapshotKey, *, trust: bool = False) -> Manifest:
    """Check a document's signature, then its form, and return what it says.

    Parameters
    ----------
    document : bytes
        From a store or from outside.
    key : SnapshotKey
        This server's.
    trust : bool
        Whether somebody has answered for a foreign signature.

    Raises
    ------
    SnapshotDamaged
        When it is no document, or not the one that was signed.
    SnapshotUntrusted
        When it was signed with another key.
    """
    after = _AFTER.fullmatch(document[-_AFTER_BYTES:])
    if after is None or not document.startswith(_BEFORE):
        raise _damaged("is not whole")
    key_id, signature = (item.decode() for item in after.groups())
    if key_id != key.id:
        if not trust:
            raise SnapshotUntrusted(
                "The snapshot was signed by another server, or with a key that is gone.",
                hint="Restoring it runs code that it holds. Trust it only if you know its origin.",
                detail=f"key {key_id}",
            )
    elif not key.verifies(document[: -len(b'"}\n') - 64], signature):
        raise _damaged("does not carry its signature")
    return _read_form(document[len(_BEFORE) : -_AFTER_BYTES])


def list_packs_unchecked(document: bytes) -> frozenset[str] | None:
    """Return the packs that a document names, signed or not; None when it cannot be read.

    Only for keeping packs: what it says is believed by nobody else.
    """
    try:
        return frozenset(map(str, json.loads(document)["manifest"]["packs"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def check_chunk_sizes(parts: list[Part], sizes: list[int]) -> bool:
    """Whether chunks of these sizes fill the parts, each part beginning with a new one."""
    sizes = sizes[::-1]
    for part in parts:
        missing = part.size
        while missing > 0:
            if not sizes or not 0 < sizes[-1] <= min(missing, CHUNK_BYTES):
                return False
            missing -= sizes.pop()
    return not sizes


def check_group(record: dict[str, Any]) -> list[Part]:
    """Return the parts of a group, whose record may come from outside.

    Raises
    ------
    InvalidInput
        When its sizes or names cannot be read.
    """
    names = record.get("names", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidInput("A group has names that are none.", reason="bad_state_stream")
    return list_parts(record)


def check_end(record: dict[str, Any]) -> dict[str, Any]:
    """Return the last record of a stream, which may come from outside.

    Raises
    ------
    InvalidInput
        When its report cannot be read.
    """
    variables = record.get("variables", [])
    if not isinstance(variables, list) or not all(
        isinstance(item, dict) and isinstance(item.get("name"), str) for item in variables
    ):
        raise InvalidInput("The report of variables is none.", reason="bad_state_stream")
    return record


def _encode(manifest: Manifest) -> dict[str, Any]:
    facts = manifest.facts
    return {
        "version": VERSION,
        "id": manifest.id,
        "name": manifest.name,
        "description": manifest.description,
        "created_at": manifest.created_at,
        "runtime_id": facts.runtime_id,
        "environment": facts.environment,
        "owner": facts.owner,
        "automatic": facts.automatic,
        "parent_id": manifest.parent_id,
        "total_bytes": manifest.total_bytes,
        "new_bytes": manifest.new_bytes,
        "begin": manifest.begin,
        "end": manifest.end,
        "packs": manifest.packs,
        "groups": [
            {
                "record": group.record,
                "chunks": [
                    (chunk.digest.hex(), chunk.pack, chunk.offset, chunk.size)
                    for chunk in group.chunks
                ],
            }
            for group in manifest.groups
        ],
    }


def _read_form(text: bytes) -> Manifest:
    try:
        body = json.loads(text)
        if body["version"] != VERSION:
            raise SnapshotDamaged(
                "The snapshot was made by a newer version.", reason="snapshot_version"
            )
        packs = tuple(check_name(item) for item in body["packs"])
        return Manifest(
            id=check_name(body["id"]),
            **{item: _text(body[item]) for item in ("name", "description", "created_at")},
            facts=SnapshotFacts(
                **{item: _text(body[item]) for item in ("runtime_id", "environment", "owner")},
                automatic=body["automatic"] is True,
            ),
            parent_id=_text(body["parent_id"]),
            begin=_mapping(body["begin"]),
            packs=packs,
            groups=tuple(_read_group(item, len(packs)) for item in body["groups"]),
            end=check_end(_mapping(body["end"])),
            total_bytes=_count(body["total_bytes"]),
            new_bytes=_count(body["new_bytes"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, InvalidInput) as error:
        raise _damaged("is not written as one", detail=repr(error)) from error


def _read_group(value: dict[str, Any], packs: int) -> Group:
    record = _mapping(value["record"])
    chunks = tuple(
        Chunk(bytes.fromhex(digest), _count(pack), _count(offset), _count(size))
        for digest, pack, offset, size in value["chunks"]
    )
    if any(chunk.pack >= packs or len(chunk.digest) != DIGEST_BYTES for chunk in chunks):
        raise ValueError("a chunk that lies nowhere")
    if not check_chunk_sizes(check_group(record), [chunk.size for chunk in chunks]):
        raise ValueError("chunks that do not fill their group")
    return Group(record, chunks)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value


def _damaged(what: str, detail: str = "") -> SnapshotDamaged:
    return SnapshotDamaged(f"The snapshot's manifest {what}; nothing of it is used.", detail=detail)
