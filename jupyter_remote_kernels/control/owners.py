"""Who drives a runtime: one lock file per living process, beside the registry.

A process that dies, however it dies, loses its lock: the kernel of the operating system gives
it back. So nothing has to be written for others to see that an owner is gone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import socket
import stat
from pathlib import Path

import psutil

from jupyter_remote_kernels.errors import RegistryError
from jupyter_remote_kernels.model.records import Owner

_LOCK = ".lock"
_UNBORN = ".new"  # a lock file that has not been locked yet; only its maker may trust it


def ensure_private_directory(path: str | os.PathLike[str]) -> Path:
    """Make a directory for secrets, or check one that is there.

    Parameters
    ----------
    path : path-like
        The directory; it and missing parents are made with mode 0700.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    RegistryError
        When it belongs to somebody else, others may write into it, or it cannot be made.
    """
    directory = Path(path)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = directory.stat()
    except OSError as error:
        raise RegistryError(
            f"the directory {directory} cannot be used: {error.strerror}",
            reason="directory_unusable",
            hint="Give a directory that you may write to.",
        ) from error
    if info.st_uid != os.geteuid():
        raise RegistryError(
            f"the directory {directory} belongs to another user",
            reason="directory_not_ours",
            hint="Give a directory of your own.",
        )
    # It is not tightened here: somebody may have pointed us at a directory shared on purpose.
    if stat.S_IMODE(info.st_mode) & 0o022:
        raise RegistryError(
            f"other users may write into the directory {directory}",
            reason="directory_not_private",
            hint=f"Run: chmod 700 {directory}",
        )
    return directory


class OwnerLock:
    """The lock of this process. Held until ``release`` or the end of the process.

    Made by :meth:`acquire`. A forked child does not keep the lock alive: it closes its copy.
    """

    def __init__(self, owner: Owner, path: Path, descriptor: int) -> None:
        self._owner = owner
        self._path = path
        self._descriptor = descriptor
        # A child that only forks would hold the same lock beyond the life of its parent.
        os.register_at_fork(after_in_child=self._close)

    @property
    def owner(self) -> Owner:
        """What to write into a record that this process drives."""
        return self._owner

    @classmethod
    def acquire(cls, directory: str | os.PathLike[str]) -> OwnerLock:
        """Make and lock a file of a new, random name.

        Parameters
        ----------
        directory : path-like
            The state directory; the files lie in its ``owners`` folder.

        Raises
        ------
        RegistryError
            When the directory cannot be used.
        """
        folder = ensure_private_directory(Path(directory) / "owners")
        process = psutil.Process()
        owner = Owner(
            id=secrets.token_hex(8),
            host=socket.gethostname(),
            pid=process.pid,
            started_s=process.create_time(),
        )
        unborn, path = folder / f"{owner.id}{_UNBORN}", folder / f"{owner.id}{_LOCK}"
        while True:
            descriptor = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The real name appears only now, locked: nobody can take it for a stale file.
            try:
                unborn.rename(path)
            except FileNotFoundError:
                os.close(descriptor)  # swept between open and flock: make another one
                continue
            return cls(owner, path, descriptor)

    def release(self) -> None:
        """Give the lock back and remove its file. May be called again."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def is_alive(directory: str | os.PathLike[str], owner: Owner) -> bool | None:
    """Tell whether an owner's process still drives its runtimes.

    Parameters
    ----------
    directory : path-like
        The state directory.
    owner : Owner
        Whom to ask about.

    Returns
    -------
    bool or None
        True while the lock is held, False when it is free or its file is gone, None for an
        owner on another host, of whom a lock file here says nothing.
    """
    if owner.host != socket.gethostname():
        return None
    return not _sweep(Path(directory) / "owners" / f"{owner.id}{_LOCK}")


def remove_stale(directory: str | os.PathLike[str]) -> int:
    """Remove the lock files of processes that are gone.

    Returns
    -------
    int
        How many were removed or had gone meanwhile.
    """
    folder = Path(directory) / "owners"
    if not folder.is_dir():
        return 0
    found = [path for path in folder.iterdir() if path.suffix in (_LOCK, _UNBORN)]
    return sum(_sweep(path) for path in found)


def _sweep(path: Path) -> bool:
    """Remove a lock file that nobody holds; return whether it is gone.

    Names are random and never used again, so a file that is free once is free for ever, and
    removing it by name cannot hit a successor.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        # Shared, so that two processes asking at once do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        path.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
