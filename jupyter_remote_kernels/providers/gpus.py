"""NVIDIA GPUs of this machine: each is given to one job at a time.

The driver lists its devices below ``/proc``. A job is told its own through
``CUDA_VISIBLE_DEVICES``, which CUDA and everything built on it obey; it is no fence against a
program that looks elsewhere.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VARIABLE = "CUDA_VISIBLE_DEVICES"
_DRIVER = Path("/proc/driver/nvidia/gpus")
_UUID = re.compile(r"^GPU UUID:\s*(GPU-[0-9a-fA-F-]+)\s*$", re.MULTILINE)


def find_gpus(driver: Path = _DRIVER) -> list[str]:
    """Return the identities of the GPUs that this process may use.

    Parameters
    ----------
    driver : Path, optional
        Where the driver lists them.
    """
    found = []
    for entry in sorted(driver.glob("*/information")):
        with contextlib.suppress(OSError):  # one that has just been taken out
            found += _UUID.findall(entry.read_text())
    visible = os.environ.get(VARIABLE)
    if visible is None:
        return found
    # Who started this server may have given it some of them only.
    wanted = [item.strip() for item in visible.split(",")]
    return [
        identity
        for number, identity in enumerate(found)
        if str(number) in wanted or any(item and identity.startswith(item) for item in wanted)
    ]


class GpuNotes:
    """Who has which GPU, noted for all processes of a user.

    Parameters
    ----------
    directory : Path
        A directory of ours; made when it is needed.
    gpus : sequence of str, optional
        The machine's GPUs; a test names its own here.
    """

    def __init__(self, directory: Path, gpus: Sequence[str] | None = None) -> None:
        self._directory = directory
        self._gpus = find_gpus() if gpus is None else list(gpus)

    def check(self, count: int) -> None:
        """Ask whether a job could have so many now.

        Raises
        ------
        LimitExceeded
            When the machine has fewer, or others have them.
        """
        if count:
            with self._locked():
                self._choose(count)

    def take(self, label: str, count: int) -> list[str]:
        """Give GPUs to a job.

        Parameters
        ----------
        label : str
            The job's.
        count : int
            How many.

        Returns
        -------
        list of str
            Their identities, as CUDA names them.

        Raises
        ------
        LimitExceeded
            When the machine has fewer, or others have them.
        """
        if not count:
            return []
        with self._locked():
            chosen = self._choose(count)
            for identity in chosen:
                (self._directory / identity).write_text(label)
        return chosen

    def give_back(self, label: str) -> None:
        """Take a job's GPUs from it; may be called again."""
        if not self._directory.is_dir():
            return
        with self._locked():
            for note in self._directory.glob("GPU-*"):
                if note.read_text() == label:
                    note.unlink()

    def _choose(self, count: int) -> list[str]:
        free = [identity for identity in self._gpus if not (self._directory / identity).exists()]
        if len(free) < count:
            used = len(self._gpus) - len(free)
            raise LimitExceeded(
                f"{count} GPUs asked for, this machine has {len(self._gpus)},"
                f" and {used} are in use",
                hint="Ask for fewer, or terminate a runtime that has one.",
                limit={
                    "name": "gpu",
                    "scope": "provider",
                    "asked": count,
                    "allowed": len(self._gpus),
                    "used": used,
                },
            )
        return free[:count]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._directory / "lock", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
