"""What a provider and a nursery say to each other.

A nursery is a process that has imported what agents and Python kernels need, and becomes them
by forking. Requests and reports are datagrams on one socket. A request brings descriptors and
nothing else: what the new process has to know is in a file without a name.

::

    provider ── b"fork" + [cradle, listener, file, log] ──▶ nursery
    provider ◀── {"ready": …}, {"exited": pid, "code": …} ── nursery
    provider ◀── pid ── cradle ── the new agent, once it can be found by its label
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.settings import AgentSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LABEL_VARIABLE = "JUPYTER_REMOTE_KERNELS_LABEL"
_LONGEST_LABEL = 128
# A nursery belongs to no job. It holds a variable that is as long as the longest label with its
# name, and a forked process writes its own label over the whole of it, in place.
ROOM_VARIABLE = "JUPYTER_REMOTE_KERNELS_ROOM"
ROOM = "~" * (len(LABEL_VARIABLE) - len(ROOM_VARIABLE) + _LONGEST_LABEL)
# An argument of blanks, which makes room for the command line of whoever is forked.
ARGUMENT_ROOM_BYTES = 2048

FORK = b"fork"
MESSAGE_LIMIT_BYTES = 64 * 1024

# Read by the interpreter, the C library or an extension module before any code of ours runs.
_EARLY = re.compile(
    r"PYTHON\w*|__PYVENV_LAUNCHER__|_PYTHON\w*|LD_\w+|MALLOC_\w+|GLIBC_\w+|GCONV_PATH|NLSPATH"
    r"|LC_\w+|LANG|LANGUAGE|LOCPATH|TZ|TZDIR|OPENSSL_\w+|SSL_\w+|ASAN_\w+|JEMALLOC\w*|HOME"
)


def list_early(names: Iterable[str], read: Iterable[str] = ()) -> set[str]:
    """Return which variables a process cannot change any more once it has imported all.

    Parameters
    ----------
    names : iterable of str
        Names of environment variables.
    read : iterable of str
        Names that a nursery has seen being read while it imported.
    """
    # jupyter_client tells each kernel its parent, which a forked one is told in another way.
    late = {"JPY_PARENT_PID", "JPY_INTERRUPT_EVENT"}
    return ({name for name in names if _EARLY.fullmatch(name)} | set(read)) - late


@dataclass(frozen=True)
class BirthRequest:
    """What a forked agent is told.

    Attributes
    ----------
    settings : AgentSettings
        As a spawned one gets them.
    label : str
        The job's label.
    environ : mapping
        The agent's whole environment.
    argv : list of str
        The command line that it shows.
    fork_kernel : bool
        Whether its kernel can be forked too; else it is spawned.
    """

    settings: AgentSettings
    label: str
    environ: Mapping[str, str] = field(repr=False)
    argv: list[str]
    fork_kernel: bool

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BirthRequest:
        """Read the JSON form."""
        return cls(
            settings=AgentSettings.from_json(data["settings"]),
            label=str(data["label"]),
            environ=dict(data["environ"]),
            argv=list(data["argv"]),
            fork_kernel=bool(data["fork_kernel"]),
        )
