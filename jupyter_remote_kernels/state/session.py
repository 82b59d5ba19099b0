"""What surrounds the variables: history, directory, paths, environment, random states, options."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.state import display, settings
from jupyter_remote_kernels.state.attempts import attempt

if TYPE_CHECKING:
    from collections.abc import Callable


# Early: what loading needs. Late: what loading would change.
_EARLY: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "paths": (settings.read_paths, settings.write_paths),
    "environment": (settings.read_environment, settings.write_environment),
    "sources": (settings.read_sources, settings.write_sources),
    "extensions": (settings.read_extensions, settings.write_extensions),
    "backend": (display.read_backend, display.write_backend),
    "limits": (settings.read_limits, settings.write_limits),
}
_LATE: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "history": (settings.read_history, settings.write_history),
    "display": (display.read_display, display.write_display),
    "matplotlib": (settings.read_matplotlib, settings.write_matplotlib),
    "pandas": (settings.read_pandas, settings.write_pandas),
    "numpy": (settings.read_numpy, settings.write_numpy),
    "random": (settings.read_random, settings.write_random),
    "warnings": (settings.read_warnings, settings.write_warnings),
}


def read_session(shell: Any, pickle_one: Callable[[Any], bytes]) -> bytes:
    """Return the stream of a session: each section on its own, so that none costs another.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    pickle_one : callable
        Makes bytes of a section.
    """
    sections: dict[str, bytes] = {}
    for name, (read, _) in {**_EARLY, **_LATE}.items():
        facts, error = attempt(read, shell)
        if error is None and facts is not None:
            data, error = attempt(pickle_one, facts)
            if error is None:
                sections[name] = data
    return pickle.dumps(sections, protocol=5)


class Session:
    """A session that is to be put back.

    Parameters
    ----------
    shell : InteractiveShell
        The kernel's.
    stream : bytes-like
        What :func:`read_session` returned.
    load : callable
        Makes a section of bytes.
    """

    def __init__(self, shell: Any, stream: Any, load: Callable[[bytes], Any]) -> None:
        self._shell = shell
        self._load = load
        self._sections: dict[str, bytes] = pickle.loads(stream)  # noqa: S301 - checked by digest
        self.failed: dict[str, Exception] = {}

    def apply_early(self) -> None:
        """Put back what loading variables needs."""
        self._apply(_EARLY)

    def apply_late(self) -> None:
        """Put back what loading variables may have changed."""
        self._apply(_LATE)

    def _apply(self, table: dict[str, Any]) -> None:
        for name, (_, write) in table.items():
            if name in self._sections:
                _, error = attempt(self._apply_one, name, write)
                if error is not None:
                    self.failed[name] = error

    def _apply_one(self, name: str, write: Callable[[Any, Any], None]) -> None:
        write(self._shell, self._load(self._sections[name]))
