"""Sessions that are kept in a file: which notebook uses which kernel."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from jupyter_server.services.sessions.sessionmanager import SessionManager
from traitlets import default

from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.jupyter.kernel_manager import switched_from
from jupyter_remote_kernels.jupyter.paths import state_directory

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp


def identify_server(server: ServerApp) -> str:
    """Return what stays the same over the restarts of a server, and differs between servers.

    Its port is known when its event loop runs.
    """
    place = f"{server.ip}\0{server.port}\0{server.sock}"
    # A hub gives its servers other ports at each start, and keeps them apart by their paths.
    place = os.environ.get("JUPYTERHUB_SERVICE_PREFIX") or place
    return hashlib.sha256(f"{server.root_dir}\0{place}".encode()).hexdigest()[:16]


class RemoteSessionManager(SessionManager):
    """Jupyter's own session manager with a database that survives the server.

    A session whose kernel did not survive is removed at the first listing, as always.
    """

    @default("database_filepath")
    def _default_database_filepath(self) -> str:
        # One file per server: a server deletes sessions of kernels it does not know, so it must
        # never see another server's.
        server = getattr(self.kernel_manager, "parent", None)
        if server is None:
            return ":memory:"
        # One after the other: the mode of a new directory is not that of its new parents.
        folder = ensure_private_directory(ensure_private_directory(state_directory()) / "sessions")
        path = folder / f"{identify_server(server)}.sqlite3"
        path.touch(mode=0o600)
        return str(path)

    async def update_session(self, session_id: str, **changes: Any) -> None:
        """Called for each change of a session; with another kernel, Jupyter ends the one before."""
        before: Any = await self.get_session(session_id=session_id)  # type: ignore[no-untyped-call]
        await super().update_session(session_id, **changes)  # type: ignore[no-untyped-call]
        if before["kernel"]["id"] != changes.get("kernel_id", before["kernel"]["id"]):
            # For the rest of this request, in which that happens.
            switched_from.set(before["kernel"]["id"])

    async def row_to_model(self, row: Any, tolerate_culled: bool = False) -> Any:
        """Called for each session in REST answers; upstream deletes those without a kernel."""
        if row["kernel_id"] in getattr(self.kernel_manager, "detached", ()):
            # The server is ending, and somebody asks once more.
            if tolerate_culled:
                return None
            raise KeyError(row["session_id"])
        return await super().row_to_model(row, tolerate_culled)  # type: ignore[no-untyped-call]
