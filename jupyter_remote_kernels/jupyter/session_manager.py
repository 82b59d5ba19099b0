"""Sessions that are kept in a file: which notebook uses which kernel."""

from __future__ import annotations

import hashlib

from jupyter_server.services.sessions.sessionmanager import SessionManager
from traitlets import default

from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.jupyter.paths import state_directory


class RemoteSessionManager(SessionManager):
    """Jupyter's own session manager with a database that survives the server.

    A session whose kernel did not survive is removed at the first listing, as always.
    """

    @default("database_filepath")
    def _default_database_filepath(self) -> str:
        # One file per server, known by what stays the same over its restarts: a server deletes
        # sessions of kernels it does not know, so it must never see another server's.
        server = getattr(self.kernel_manager, "parent", None)
        if server is None:
            return ":memory:"
        identity = f"{server.root_dir}\0{server.ip}\0{server.port}\0{server.sock}"
        name = hashlib.sha256(identity.encode()).hexdigest()[:16]
        # One after the other: the mode of a new directory is not that of its new parents.
        folder = ensure_private_directory(ensure_private_directory(state_directory()) / "sessions")
        path = folder / f"{name}.sqlite3"
        path.touch(mode=0o600)
        return str(path)
