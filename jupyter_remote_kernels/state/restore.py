"""Restore: groups as they come, names bound only when their group is complete, two passes."""

from __future__ import annotations

import contextlib
import pickle
import sys
import types
import warnings
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import Conflict, InvalidInput
from jupyter_remote_kernels.protocol.state_stream import list_parts, parse_record
from jupyter_remote_kernels.state import session
from jupyter_remote_kernels.state.arriving import make_plain_value
from jupyter_remote_kernels.state.attempts import Refused, attempt, explain
from jupyter_remote_kernels.state.compat import explain_versions
from jupyter_remote_kernels.state.extras import bind_extra, is_extra
from jupyter_remote_kernels.state.foreign import check_left_out, find_elsewhere, forget_left_out
from jupyter_remote_kernels.state.functions import definitions
from jupyter_remote_kernels.state.namespace import find_fixed
from jupyter_remote_kernels.state.pickling import run_deep
from jupyter_remote_kernels.state.plain import BATCHED, is_batched, load_plain
from jupyter_remote_kernels.state.receiving import Content, Receiver
from jupyter_remote_kernels.state.texts import forget_ahead, make_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_remote_kernels.state.wire import Reader


_MISSING = object()
# What may have come without being loaded: it is read from the disk and checked meanwhile.
_MOST_MAPPED = 1 << 30
_MOST_HELD = 16 << 20
# Threads that check get their turn sooner than usual beside the one that loads.
_SWITCH_S = 0.0005


class _Stream:
    """What an unpickler reads from, without a copy of the whole."""

    def __init__(self, data: Any) -> None:
        self._view = memoryview(data)
        self._at = 0

    def read(self, count: int) -> bytes:
        piece = self._view[self._at : self._at + count]
        self._at += piece.nbytes
        return bytes(piece)

    def readinto(self, buffer: Any) -> int:
        target = memoryview(buffer).cast("B")
        piece = self._view[self._at : self._at + target.nbytes]
        target[: piece.nbytes] = piece
        self._at += piece.nbytes
        return piece.nbytes

    def readline(self) -> bytes:
        end = self._at
        while end < self._view.nbytes and self._view[end] != 10:
            end += 1
        return self.read(end + 1 - self._at)


class StateUnpickler(pickle.Unpickler):
    """Loads a stream into this kernel."""

    def __init__(self, shell: Any, data: Any, buffers: list[Any]) -> None:
        self._file = _Stream(data)
        self._is_batched = is_batched(data)
        super().__init__(self._file, buffers=buffers)
        self._shell = shell

    def load(self) -> Any:
        """Return what the stream holds."""
        if self._is_batched:
            self._file.read(len(BATCHED))
            return load_plain(self._file)
        return super().load()

    def find_class(self, module: str, name: str) -> Any:
        """Return a function or class by its name, which another version may not have."""
        found, error = attempt(super().find_class, module, name)
        if error is None:
            return found
        return find_elsewhere(module, name, error)

    def persistent_load(self, pid: Any) -> Any:
        """Return what a stream only names."""
        return find_fixed(self._shell, pid)


@dataclass
class Received:
    """A group as it came.

    Attributes
    ----------
    facts : dict
        Its record.
    stream : Content
        Its stream.
    singles : dict
        Name -> stream.
    buffers : list of Content
        Its memory.
    """

    facts: dict[str, Any]
    stream: Content = field(default_factory=lambda: Content(0, [memoryview(b"")]))
    singles: dict[str, Content] = field(default_factory=dict)
    buffers: list[Content] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names that it brings."""
        return list(self.facts["names"])

    def measure(self, *, is_mapped: bool) -> int:
        """Return how many bytes of it lie in files, or in memory."""
        parts = [self.stream, *self.singles.values(), *self.buffers]
        return sum(part.size for part in parts if part.is_mapped == is_mapped)

    def check(self) -> None:
        """Wait until all of it is checked; raises when it is not what was saved."""
        for part in (self.stream, *self.singles.values(), *self.buffers):
            part.check()

    @property
    def texts(self) -> list[Content]:
        """Memory of texts that is in files."""
        numbers = [n for n in self.facts.get("texts", ()) if type(n) is int]
        found = [self.buffers[n] for n in numbers if 0 <= n < len(self.buffers)]
        return [content for content in found if content.is_mapped]


def _call(load: Any) -> Any:
    return load()


@contextlib.contextmanager
def _quick_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_S))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Restore:
    """One restore.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    reader : Reader
        Where the stream comes from.
    command : dict
        ``names``, ``on_conflict`` and ``session``.
    """

    def __init__(self, shell: Any, reader: Reader, command: dict[str, Any]) -> None:
        self._shell = shell
        self._reader = reader
        names = command.get("names")
        self._wanted = None if names is None else set(names)
        self._on_conflict = command.get("on_conflict", "replace")
        self._with_session = bool(command.get("session", names is None))
        self._taken = set(shell.user_ns)
        # Formulas are evaluated while they are loaded, in the namespace of whoever loads them.
        self._load_here = types.FunctionType(_call.__code__, shell.user_ns)
        self._receiver = Receiver(reader)
        self._waiting: deque[Received] = deque()
        self._mapped = self._held = 0
        self._failed: list[Received] = []
        self._before: dict[str, Any] = {}
        self.restored: list[str] = []
        self.unlinked: list[str] = []
        self.lost: dict[str, dict[str, Any]] = {}
        self.renamed: dict[str, str] = {}
        self.kept: list[str] = []
        self.notes: dict[str, str] = {}

    def run(self) -> dict[str, Any]:
        """Read the stream, bind what it brings, and return the report; all of it or nothing."""
        self._check_names()
        try:
            with _quick_switches():
                return self._run()
        except BaseException:  # whatever it was, an interrupt too: nothing half done may stay
            self.take_back()
            raise
        finally:
            self._receiver.close()

    def take_back(self) -> None:
        """Make the names mean again what they meant before."""
        names = self._shell.user_ns
        for name, value in self._before.items():
            if value is _MISSING:
                names.pop(name, None)
            else:
                names[name] = value
        self._before = {}

    def _run(self) -> dict[str, Any]:
        definitions.clear()
        pending: session.Session | None = None
        while True:
            facts = self._read_json()
            kind = facts.get("type")
            if kind == "begin":
                self._receiver.paths = list(facts.get("files", ()))
            elif kind == "session":
                stream = self._receive(facts).stream.get()
                if self._with_session:
                    pending = session.Session(self._shell, stream, self._unpickle_section)
                    pending.apply_early()
            elif kind == "group":
                self._wait_with(self._receive(facts))
            elif kind == "end":
                break
            elif kind == "error":
                raise Refused(str(facts.get("message", "the source failed")))
            else:
                raise InvalidInput("The state stream has a record of an unknown type.")
        while self._waiting:
            self._load_next()
        self._try_again()
        if pending is not None:
            pending.apply_late()
            for section, error in pending.failed.items():
                name = f"session: {section}"
                self.lost[name] = {"name": name, "reason": explain(error), "path": None}
        definitions.clear()
        return self._report(facts)

    def _report(self, end: dict[str, Any]) -> dict[str, Any]:
        for entry in end.get("variables", ()):
            if entry["status"] == "refused" and self._is_wanted(entry["name"]):
                self.lost[entry["name"]] = {
                    key: entry.get(key) for key in ("name", "reason", "path")
                }
        return {
            "type": "restored",
            "restored": self.restored,
            "lost": list(self.lost.values()),
            "renamed": self.renamed,
            "unlinked": self.unlinked,
            "kept": self.kept,
            "notes": self.notes,
        }

    def _check_names(self) -> None:
        """Refuse, if that is asked for, what would replace a variable; nothing has changed yet."""
        taken = sorted(self._taken & (self._wanted or set()))
        if self._on_conflict == "refuse" and taken:
            raise Conflict(
                f"The kernel has variables of these names already: {', '.join(taken)}.",
                reason="name_conflict",
                hint="Say whether to replace them, to keep them, or to give the new ones others.",
            )

    def _read_json(self) -> dict[str, Any]:
        kind, length = self._reader.head()
        if kind != b"J":
            raise InvalidInput("The state stream has a chunk in the wrong place.")
        value: dict[str, Any] = parse_record(kind, self._reader.bytes(length)).value  # type: ignore[union-attr]
        return value

    def _receive(self, facts: dict[str, Any]) -> Received:
        received = Received(facts)
        for part in list_parts(facts):
            data = self._receiver.receive(part.size)
            if part.kind == "stream":
                received.stream = data
            elif part.kind == "single":
                received.singles[part.name] = data
            else:
                received.buffers.append(data)
        # Not before: whoever sends needs the processor until then.
        self._receiver.begin(received.texts)
        return received

    def _is_wanted(self, name: str) -> bool:
        if self._wanted is not None:
            return name in self._wanted
        return self._with_session or not is_extra(name)

    def _wait_with(self, received: Received) -> None:
        """Let a group wait: those before it are loaded when too much waits."""
        self._waiting.append(received)
        self._mapped += received.measure(is_mapped=True)
        self._held += received.measure(is_mapped=False)
        while self._waiting and (self._mapped > _MOST_MAPPED or self._held > _MOST_HELD):
            self._load_next()

    def _load_next(self) -> None:
        received = self._waiting.popleft()
        self._mapped -= received.measure(is_mapped=True)
        self._held -= received.measure(is_mapped=False)
        self._load(received)

    def _load(self, received: Received) -> None:
        wanted = [name for name in received.names if self._is_wanted(name)]
        try:
            for texts in received.texts if wanted else ():
                # What cannot be made is found again by what asks for it.
                attempt(make_ahead, texts.get())
            # What is damaged is no matter of one variable: nothing of it is unpickled.
            received.check()
            if not wanted:
                return
            values, error = attempt(run_deep, self._unpickle_group, received, wanted)
        finally:
            forget_ahead()
        if error is not None:
            definitions.forget_unfinished()
            for name in wanted:
                self.lost[name] = {"name": name, "reason": explain(error), "path": None}
            self._failed.append(received)
            return
        note = explain_versions(received.facts.get("packages", {}))
        for name in wanted:
            self.lost.pop(name, None)
            if note is not None:
                self.notes[name] = note
            self._bind(name, values[name])

    def _unpickle_group(self, received: Received, wanted: list[str]) -> dict[str, Any]:
        if received.facts["kind"] == "plain":
            buffers = [each.get() for each in received.buffers]
            return {received.names[0]: make_plain_value(received.stream.get(), buffers)}
        if len(wanted) == 1 and wanted[0] in received.singles:
            return {wanted[0]: self._unpickle_single(received, wanted[0])}
        buffers = [each.get() for each in received.buffers]
        value = self._unpickle(received.stream.get(), buffers)
        return value if len(received.names) > 1 else {received.names[0]: value}

    def _unpickle_section(self, data: bytes) -> Any:
        return self._unpickle(data, [])

    def _unpickle_single(self, received: Received, name: str) -> Any:
        numbers = received.facts["singles"][name].get("buffers", ())
        buffers = [received.buffers[n].get() for n in numbers]
        return self._unpickle(received.singles[name].get(), buffers)

    def _unpickle(self, stream: Any, buffers: list[Any]) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            forget_left_out()
            unpickler = StateUnpickler(self._shell, stream, buffers)
            value, error = attempt(self._load_here, unpickler.load)
        # What was left out says more than what fails without it.
        check_left_out()
        if error is not None:
            raise error
        return value

    def _try_again(self) -> None:
        """Load what failed once more, now that all else is there; then each variable alone."""
        failed, self._failed = self._failed, []
        for received in failed:
            self._load(received)
        for received in self._failed:
            for name in received.singles:
                if not self._is_wanted(name):
                    continue
                value, error = attempt(run_deep, self._unpickle_single, received, name)
                if error is None:
                    self.lost.pop(name, None)
                    self.unlinked.append(name)
                    self._bind(name, value)

    def _bind(self, name: str, value: Any) -> None:
        if is_extra(name):
            _, error = attempt(bind_extra, self._shell, name, value)
            if error is not None:
                self.lost[name] = {"name": name, "reason": explain(error), "path": None}
            return
        target = name
        if name in self._taken and self._on_conflict == "keep":
            self.kept.append(name)
            return
        if name in self._taken and self._on_conflict == "rename":
            number = 1
            while f"{name}_{number}" in self._shell.user_ns:
                number += 1
            target = self.renamed[name] = f"{name}_{number}"
        self._before.setdefault(target, self._shell.user_ns.get(target, _MISSING))
        self._shell.user_ns[target] = value
        self.restored.append(name)
