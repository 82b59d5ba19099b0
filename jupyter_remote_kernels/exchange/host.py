"""What a call has to know of the kernel, whoever keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import zmq

    from jupyter_remote_kernels.errors import AgentError


class KernelHost(ABC):
    """One process of a kernel, seen from beside it. Made for one call.

    Attributes
    ----------
    context : zmq.Context
        Sockets are made in it.
    shell_url : str
        Where the kernel takes requests.
    key : str
        What its messages are signed with.
    session : str
        Begins the session of all requests.
    curve : tuple of bytes or None
        Public and secret key of its sockets, where they are encrypted.
    info : dict or None
        What the kernel says about itself, as far as that is known.
    """

    context: zmq.Context[zmq.Socket[bytes]]
    shell_url: str
    key: str
    session: str
    curve: tuple[bytes, bytes] | None = None
    info: dict[str, Any] | None

    @abstractmethod
    def new_path(self) -> str:
        """Return a path that nothing has, in a directory of the owner's alone.

        It is short enough for a socket.
        """

    @abstractmethod
    async def wait_exited(self) -> None:
        """Return when the process has ended."""

    @abstractmethod
    def interrupt(self) -> bool:
        """Interrupt the kernel, but not its children; returns False when it is not there."""

    @abstractmethod
    def explain_exit(self) -> AgentError:
        """Return why the process has ended, with the reason ``kernel_died``."""
