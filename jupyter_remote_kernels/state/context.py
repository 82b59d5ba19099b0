"""What all variables of one capture share: who owns which object, and what is kept alive."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Sequence


class Links:
    """Which variables share mutable objects (union-find over their names)."""

    def __init__(self) -> None:
        self._parents: dict[str, str] = {}

    def find(self, name: str) -> str:
        """Return the name that stands for everything linked to this one."""
        root = name
        while (parent := self._parents.get(root, root)) != root:
            root = parent
        while name != root:
            self._parents[name], name = root, self._parents.get(name, name)
        return root

    def join(self, one: str, other: str) -> None:
        """Say that two variables belong together."""
        first, second = self.find(one), self.find(other)
        if first != second:
            self._parents[second] = first


# Outlives a capture: the bytes of an unchanged function have to be the same in the next one.
_function_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
_token_numbers = itertools.count()


class CaptureContext:
    """State that the picklers of one capture share.

    Parameters
    ----------
    namespace : dict
        The user's namespace, to which functions keep their live link.
    fixed : dict
        Objects that every kernel has: id -> persistent id.
    cells : sequence of str
        The texts of the cells that were run, as they were typed.
    """

    def __init__(
        self,
        namespace: dict[str, Any],
        fixed: dict[int, tuple[Any, ...]],
        cells: Sequence[str] = (),
    ) -> None:
        self.namespace = namespace
        self.fixed = fixed
        self.links = Links()
        # id of a mutable object -> the first variable in which it was seen. Ids are unique only
        # among the living, so everything whose id is a key is kept.
        self.owners: dict[int, str] = {}
        self.kept: list[Any] = []
        # Arrays of a pandas Index and the like: shared by many, never changed in place.
        self.unlinked: set[int] = set()
        # id of an array that owns memory -> the ids of the arrays seen that lie in it.
        self.views: dict[int, set[int]] = {}
        self.storages: dict[Any, Any] = {}
        self.sources = Sources(cells)
        # id of a code object -> what stands for it in streams.
        self.codes: dict[int, Any] = {}
        self._cells: dict[int, str] = {}

    def close(self) -> None:
        """Let go of everything at once: picklers and context hold each other."""
        for kept in (self.kept, self.owners, self.views, self.storages, self.unlinked, self.codes):
            kept.clear()

    def note(self, key: int, thing: Any, variable: str) -> None:
        """Record that a variable reaches a mutable object."""
        owner = self.owners.get(key)
        if owner is None:
            self.owners[key] = variable
            self.kept.append(thing)
        elif owner != variable:
            self.links.join(owner, variable)

    def note_view(self, root: Any, view: Any) -> None:
        """Record that an array lies in the memory of another."""
        seen = self.views.setdefault(id(root), set())
        if id(view) not in seen:
            seen.add(id(view))
            self.kept.append((root, view))

    def is_shared(self, root: Any) -> bool:
        """Whether several arrays lie in this one's memory."""
        return len(self.views.get(id(root), ())) > 1

    def function_token(self, function: Any) -> str:
        """Return the name under which a function is known in every stream of this kernel."""
        token = _function_tokens.get(function)
        if token is None:
            token = _function_tokens[function] = f"f{next(_token_numbers)}"
        return token

    def cell_token(self, cell: Any, suggestion: str) -> str:
        """Return the name of a closure's cell; the first function that has it names it."""
        token = self._cells.get(id(cell))
        if token is None:
            token = self._cells[id(cell)] = suggestion
            self.kept.append(cell)
        return token
