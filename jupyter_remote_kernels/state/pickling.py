"""The pickler of a capture: finds links, refuses what would come back dead, copies no buffers."""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from jupyter_remote_kernels.state.attempts import Refused, attempt
from jupyter_remote_kernels.state.classes import reduce_class
from jupyter_remote_kernels.state.compat import Needs
from jupyter_remote_kernels.state.foreign import reduce_library_function
from jupyter_remote_kernels.state.kinds import find_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_remote_kernels.state.context import CaptureContext

# Never linked and never changed: most of all objects, so they are asked for first.
_PLAIN = frozenset(
    {int, str, float, type(None), bool, bytes, tuple, complex, frozenset, pickle.PickleBuffer}
)
_CONTAINERS = frozenset({list, dict, set, bytearray})
_DEEP_STACK_BYTES = 512 << 20


class Sink:
    """Takes what a pickler writes, in pieces that are never joined.

    Parameters
    ----------
    keeps : bool
        Whether the pieces are kept; else only their size is counted.
    """

    def __init__(self, *, keeps: bool = True) -> None:
        self.pieces: list[Any] = []
        self.size = 0
        self._keeps = keeps

    def clear(self) -> None:
        """Forget what was written."""
        self.pieces.clear()
        self.size = 0

    def write(self, data: Any) -> int:
        """Take a piece; called by the pickler."""
        size = memoryview(data).nbytes
        self.size += size
        if self._keeps:
            self.pieces.append(data)
        return size


class StatePickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickles one variable or one group.

    Parameters
    ----------
    sink : Sink
        Where the stream goes.
    context : CaptureContext
        What this capture shares.
    variable : str
        Under whose name mutable objects are noted; empty when nothing is to be noted.
    take_buffer : callable
        Gets each out-of-band buffer.
    """

    def __init__(
        self,
        sink: Sink,
        context: CaptureContext,
        variable: str,
        take_buffer: Callable[[pickle.PickleBuffer], Any],
    ) -> None:
        super().__init__(sink, protocol=5, buffer_callback=take_buffer)
        self.context = context
        self.variable = variable
        # Whether views are stored with the array that they lie in.
        self.keeps_views = not variable
        self.cells_in_functions: set[int] = set()
        self.last: Any = None
        self.needs = Needs()
        # Where memory of texts lies, which need no unpickler to be made.
        self.texts: set[int] = set()
        self._owners = context.owners
        self._fixed = context.fixed
        self._types: set[type] = set()

    def persistent_id(self, obj: Any) -> Any:
        """Note mutable containers, and name what every kernel has. Called for every object."""
        kind = type(obj)
        if kind in _PLAIN:
            return None
        key = id(obj)
        if key in self._fixed:
            return self._fixed[key]
        if kind in _CONTAINERS and self.variable and self._owners.get(key) != self.variable:
            self.context.note(key, obj, self.variable)
        return None

    def reducer_override(self, obj: Any) -> Any:
        """Decide how an object that is no plain container is taken apart."""
        kind = find_kind(type(obj))
        self._types.add(type(obj))
        self.last = obj
        if kind.links and self.variable and self._owners.get(id(obj)) != self.variable:
            self.context.note(id(obj), obj, self.variable)
        if kind.is_simple:
            return NotImplemented
        if kind.refusal:
            raise Refused(kind.refusal, obj)
        if kind.reducer is not None:
            reduced = kind.reducer(self, obj)
            if reduced is not NotImplemented:
                return reduced
        reduced = super().reducer_override(obj)
        if isinstance(reduced, tuple) and len(reduced) > 2:
            if kind.is_class:
                return reduce_class(reduced)
            if kind.is_function:
                return reduce_library_function(self, obj, reduced)
        elif kind.is_class or kind.is_function:
            self.needs.modules.add(getattr(obj, "__module__", None) or "")
        return reduced

    def dump(self, obj: Any) -> None:
        """Write the stream of an object."""
        # Not cloudpickle's own, which hides that the recursion limit was hit.
        pickle.Pickler.dump(self, obj)
        self.needs.owners.update(kind.__module__ for kind in self._types)


def run_deep(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function, again with a very large stack when it hits the recursion limit."""
    result, error = attempt(function, *arguments)
    if isinstance(error, RecursionError):
        result, error = _run_on_large_stack(function, arguments)
    if error is not None:
        raise error
    return result


def _run_on_large_stack(
    function: Callable[..., Any], arguments: tuple[Any, ...]
) -> tuple[Any, Exception | None]:
    import sys

    outcome: list[tuple[Any, Exception | None]] = []
    before_stack, before_limit = threading.stack_size(_DEEP_STACK_BYTES), sys.getrecursionlimit()
    sys.setrecursionlimit(max(before_limit, 200_000))
    try:
        thread = threading.Thread(
            target=lambda: outcome.append(attempt(function, *arguments)), daemon=True
        )
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before_stack)
        sys.setrecursionlimit(before_limit)
    return outcome[0] if outcome else (None, RecursionError())
