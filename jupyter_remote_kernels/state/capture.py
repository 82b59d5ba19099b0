"""Capture: each variable once to learn what it is linked to, then group by group to the wire."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.attempts import Refused, attempt, explain
from jupyter_remote_kernels.state.compat import Needs, explain_unfit
from jupyter_remote_kernels.state.context import CaptureContext
from jupyter_remote_kernels.state.extras import list_extras
from jupyter_remote_kernels.state.namespace import (
    fixed_objects,
    is_definition,
    list_names,
    preview,
    type_name,
)
from jupyter_remote_kernels.state.origins import add_origins
from jupyter_remote_kernels.state.paths import find_path
from jupyter_remote_kernels.state.pickling import Sink, StatePickler, run_deep
from jupyter_remote_kernels.state.plain import dump_plain, is_plain_tree

if TYPE_CHECKING:
    import pickle

# Smaller buffers stay in the stream: a record for each would cost more than it saves.
_INLINE_BYTES = 4096


@dataclass
class Pickled:
    """A stream and its buffers.

    Attributes
    ----------
    pieces : list of bytes-like
        The stream.
    size : int
        Its bytes.
    buffers : list of memoryview
        Out-of-band memory, where it lies.
    needs : Needs
        What a kernel must have to load it.
    is_plain : bool
        Whether it is no pickle but a description, for a kernel of another language.
    texts : set of int
        Addresses of the buffers that are texts with separators.
    """

    pieces: list[Any]
    size: int
    buffers: list[memoryview]
    needs: Needs = field(default_factory=Needs)
    is_plain: bool = False
    texts: set[int] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Bytes of the stream and of its buffers."""
        return self.size + sum(buffer.nbytes for buffer in self.buffers)


@dataclass
class Variable:
    """One name and what became of it.

    Attributes
    ----------
    name : str
        Its name, or a text for what is not a variable but saved like one.
    value : object
        Its value.
    is_extra : bool
        Whether it is no variable of the user.
    pickled : Pickled or None
        Its own stream; ``None`` when it is refused.
    error : Exception or None
        Why it is refused.
    path : str or None
        Where the culprit hides.
    is_unlinked : bool
        Whether what it shares with others could not be kept.
    """

    name: str
    value: Any
    is_extra: bool = False
    pickled: Pickled | None = None
    error: Exception | None = None
    path: str | None = None
    is_unlinked: bool = False

    def describe(self) -> dict[str, Any]:
        """Return its entry of the report."""
        status = "refused" if self.pickled is None else "carried"
        if self.is_unlinked:
            status = "carried_without_links"
        return {
            "name": self.name,
            "type": type_name(self.value),
            "size_bytes": self.pickled.total if self.pickled else 0,
            "status": status,
            "reason": explain(self.error) if self.error else None,
            "path": self.path,
        }


@dataclass
class Group:
    """Variables that are saved together.

    Attributes
    ----------
    variables : list of Variable
        In the order in which they were made.
    pickled : Pickled
        The stream of all, or the only one's own.
    """

    variables: list[Variable]
    pickled: Pickled
    singles: list[Variable] = field(default_factory=list)


class Capture:
    """Everything that one capture reads.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    names : list of str, optional
        The variables; all by default, with what is saved like one.
    keeps : bool
        Whether streams are kept; a plan only wants their sizes.
    target : dict, optional
        How the kernel describes itself that they go to, when that is known.
    """

    def __init__(
        self, shell: Any, names: list[str] | None, *, keeps: bool,
        target: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._shell = shell
        self._keeps = keeps
        self._target = target
        cells = shell.history_manager.input_hist_raw
        self.context = CaptureContext(shell.user_ns, fixed_objects(shell), cells)
        self.missing: list[str] = []
        wanted = list_names(shell) if names is None else names
        self.missing = [name for name in wanted if name not in shell.user_ns]
        self.variables = [
            Variable(name, shell.user_ns[name]) for name in wanted if name in shell.user_ns
        ]
        if names is None:
            extras = list_extras(shell)
            self.variables += [Variable(name, value, is_extra=True) for name, value in extras]

    def close(self) -> None:
        """Let go of all that was pickled."""
        self.context.close()
        self.variables.clear()

    def probe(self) -> None:
        """Pickle each variable alone: what cannot be carried, and what is linked, is known then."""
        with warnings.catch_warnings():
            # Ways of pickling that Python will give up are no matter of the user's.
            warnings.simplefilter("ignore")
            for variable in self.variables:
                self._probe(variable)
                self._check_target(variable)

    def _check_target(self, variable: Variable) -> None:
        if self._target is None or variable.pickled is None:
            return
        reason = explain_unfit(variable.pickled.needs, self._target)
        if reason is not None:
            variable.pickled, variable.error = None, Refused(reason)

    def _probe(self, variable: Variable) -> None:
        if self._target is not None and self._target.get("language") != "python":
            variable.pickled, variable.error = attempt(_describe_plain, variable.value)
            return
        if is_plain_tree(variable.value):
            self.context.note(id(variable.value), variable.value, variable.name)
            variable.pickled, error = attempt(self._pickle_plain, variable.value)
            if error is None:
                return
        pickled, error = attempt(self.pickle, variable.value, variable.name)
        if error is None:
            variable.pickled = pickled
            return
        variable.error = error
        culprit = getattr(error, "culprit", None)
        if culprit is None:
            culprit, error = self._find_culprit(variable)
            variable.error = error or variable.error
        if culprit is not None and culprit is not variable.value:
            path, _ = attempt(find_path, variable.name, variable.value, culprit)
            kind = type_name(culprit)
            variable.path = f"{path} → {kind}" if path else f"{variable.name} → … → {kind}"

    def _find_culprit(self, variable: Variable) -> tuple[Any, Exception | None]:
        """Pickle once more, only to know at which object it stopped."""
        pickler = self._make_pickler(Sink(keeps=False), "", [])
        _, error = attempt(pickler.dump, variable.value)
        return (pickler.last, error) if error is not None else (None, None)

    def _make_pickler(self, sink: Sink, name: str, buffers: list[memoryview]) -> StatePickler:
        def take(buffer: pickle.PickleBuffer) -> Any:
            view = buffer.raw()
            if view.nbytes < _INLINE_BYTES:
                return True
            buffers.append(view)
            return False

        return StatePickler(sink, self.context, name, take)

    def pickle(self, value: Any, name: str) -> Pickled:
        """Pickle a value under a variable's name, or a group under none."""
        return run_deep(self._pickle, value, name)  # type: ignore[no-any-return]

    def _pickle_plain(self, value: Any) -> Pickled:
        sink = Sink(keeps=self._keeps)
        dump_plain(value, sink)
        return Pickled(sink.pieces, sink.size, [])

    def _pickle(self, value: Any, name: str) -> Pickled:
        sink = Sink(keeps=self._keeps)
        buffers: list[memoryview] = []
        pickler = self._make_pickler(sink, name, buffers)
        pickler.dump(value)
        # The memo keeps what was made only for this stream, and buffers may lie in it.
        self.context.kept.append(pickler)
        return Pickled(sink.pieces, sink.size, buffers, pickler.needs, texts=pickler.texts)

    def group(self) -> list[Group]:
        """Put linked variables together; definitions come first."""
        members: dict[str, list[Variable]] = {}
        for variable in self.variables:
            if variable.pickled is not None:
                members.setdefault(self.context.links.find(variable.name), []).append(variable)
        groups: list[Group] = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for variables in members.values():
                groups += self._make_groups(variables)
        return sorted(groups, key=lambda group: not _defines(group))

    def _make_groups(self, variables: list[Variable]) -> list[Group]:
        alone = [Group([each], each.pickled) for each in variables if each.pickled]
        if len(variables) == 1 and not self._has_views(variables[0]):
            return alone
        value: Any = {each.name: each.value for each in variables}
        if len(variables) == 1:
            value = variables[0].value
        pickled, error = attempt(self.pickle, value, "")
        if error is not None:
            for each in variables:
                each.is_unlinked = len(variables) > 1
                each.error = error if each.is_unlinked else None
            return alone
        return [Group(variables, pickled, variables if len(variables) > 1 else [])]

    def _has_views(self, variable: Variable) -> bool:
        owners, views = self.context.owners, self.context.views
        return any(
            len(seen) > 1 and owners.get(root) == variable.name for root, seen in views.items()
        )

    def report(self, *, previews: bool = False) -> list[dict[str, Any]]:
        """Return an entry for each variable, and for each other thing that is refused."""
        entries = []
        for variable in self.variables:
            if variable.is_extra and variable.pickled is not None:
                continue
            entry = variable.describe()
            if previews:
                entry["preview"] = preview(variable.value)
            entries.append(entry)
        error = Refused("there is no such variable")
        add_origins(self._shell, entries)
        entries += [Variable(name, None, error=error).describe() for name in self.missing]
        return entries


def _describe_plain(value: Any) -> Pickled:
    from jupyter_remote_kernels.state.departing import describe_plain

    text, buffers = describe_plain(value)
    return Pickled([text], len(text), buffers, is_plain=True)


def _defines(group: Group) -> bool:
    return all(is_definition(variable.value) for variable in group.variables)


def group_kind(group: Group) -> str:
    """Return what a group's record says it is."""
    if group.pickled.is_plain:
        return "plain"
    return "definitions" if _defines(group) else "values"
