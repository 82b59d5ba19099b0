"""The files of one runtime's job on this host: its directory, its log, what its agent left."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_remote_kernels.model.records import ExitCause
from jupyter_remote_kernels.protocol.settings import ENDING_FILE, SOCKET_LINK

if TYPE_CHECKING:
    from pathlib import Path

_SOCKET_FOLDER = re.compile(r"jrk-[0-9a-f]{16}")


def make_private_directory(path: Path) -> None:
    """Make a directory that only its owner can read; what is in it already stays."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chmod(path, 0o700)


def remove_directory(path: Path) -> None:
    """Remove a runtime's directory; it may be gone already."""
    remove_sockets(path)
    shutil.rmtree(path, ignore_errors=True)


def remove_sockets(path: Path) -> None:
    """Remove the folder of sockets that an agent had to make elsewhere, if there is one."""
    link = path / SOCKET_LINK
    with contextlib.suppress(OSError):  # no such link: the directory's path was short enough
        folder = os.readlink(link)
        # The kernel could have put any other path there, by mistake or not.
        if _SOCKET_FOLDER.fullmatch(os.path.basename(folder)):
            shutil.rmtree(folder, ignore_errors=True)
        link.unlink()


@dataclass(frozen=True)
class RecordedEnding:
    """What an agent wrote down when it ended by itself.

    Attributes
    ----------
    cause : ExitCause
        Why.
    age_s : float
        How long its runtime had lived, in seconds.
    """

    cause: ExitCause
    age_s: float


def read_ending(directory: Path) -> RecordedEnding | None:
    """Return what the agent of a job wrote down about its end; None when there is nothing."""
    try:
        data = json.loads((directory / ENDING_FILE).read_text())
        return RecordedEnding(ExitCause.from_json(data["cause"]), float(data["age_s"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # the kernel can write there, too, and write anything


def read_kernel_log(directory: Path, offset: int, limit: int) -> tuple[bytes, int] | None:
    """Return a page of the kernel's own output and its whole size, in bytes.

    Returns
    -------
    tuple or None
        None when there is no log here: the job runs elsewhere, or its kernel never started.
    """
    try:
        with (directory / "kernel.log").open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(min(offset, size))
            return log.read(limit), size
    except OSError:
        return None
