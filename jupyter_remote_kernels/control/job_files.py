"""The files of one runtime's job on this host: its directory, its log, what its agent left."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError
from jupyter_remote_kernels.model.records import ExitCause
from jupyter_remote_kernels.protocol.settings import ENDING_FILE, SOCKET_LINK

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

POSITION_FILE = "link.position"
_PIECE_BYTES = 1 << 20
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


def read_ending(directory: Path, told: object = None) -> RecordedEnding | None:
    """Return what the agent of a job wrote down about its end; None when there is nothing.

    Parameters
    ----------
    directory : Path
        The job's directory on this host.
    told : object
        The same as the provider has read it where the job ran; None when it has not.
    """
    try:
        data: Any = told or json.loads((directory / ENDING_FILE).read_text())
        return RecordedEnding(ExitCause.from_json(data["cause"]), float(data["age_s"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # the kernel can write there, too, and write anything


async def read_file(path: Path) -> AsyncGenerator[bytes, None]:
    """Read a file piece by piece; what is there in its place is not followed.

    Raises
    ------
    ProviderError
        When it cannot be read.
    """
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(await asyncio.to_thread(os.open, path, flags), "rb", buffering=0) as file:
            while piece := await asyncio.to_thread(file.read, _PIECE_BYTES):
                yield piece
    except OSError as error:
        raise ProviderError(
            f"what the job has left cannot be read: {error.strerror}", reason="nothing_left"
        ) from error


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
