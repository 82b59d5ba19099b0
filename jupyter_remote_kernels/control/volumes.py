"""The user's volumes on this machine: a directory each, below our state directory."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_remote_kernels.control.owners import ensure_private_directory
from jupyter_remote_kernels.errors import Conflict, NotFound
from jupyter_remote_kernels.model.volumes import (
    DEFAULT_VOLUME,
    check_volume_name,
    is_volume_name,
)

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Volume:
    """One volume.

    Attributes
    ----------
    name : str
        Its name.
    path : str
        Its directory.
    size_bytes : int
        What its files hold.
    created_s : float
        Seconds since the epoch.
    """

    name: str
    path: str
    size_bytes: int
    created_s: float


class VolumeStore:
    """Makes, lists and removes volumes; synchronous, for a thread.

    Parameters
    ----------
    root : Path
        Holds one directory per volume.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def mounts_directory(self) -> Path:
        """Where providers note which runtime sees which volume."""
        return self._root / ".mounts"

    def list(self) -> list[Volume]:
        """Return all volumes by name."""
        if not self._root.is_dir():
            return []
        return [
            self._describe(item)
            for item in sorted(self._root.iterdir())
            if item.is_dir() and not item.name.startswith(".")
        ]

    def create(self, name: str) -> Volume:
        """Make a volume.

        Raises
        ------
        InvalidInput
            When the name is none.
        Conflict
            When it is there already.
        """
        path = self._root / check_volume_name(name)
        ensure_private_directory(self._root)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            raise Conflict(f"there is a volume {name!r} already", reason="volume_exists") from None
        return self._describe(path)

    def find(self, name: str) -> Path:
        """Return a volume's directory; the default one is made when it is missing.

        Raises
        ------
        NotFound
            When there is none of this name.
        """
        if name == DEFAULT_VOLUME:
            ensure_private_directory(self._root)
            (self._root / name).mkdir(mode=0o700, exist_ok=True)
        return self._find(name)

    def delete(self, name: str) -> None:
        """Remove a volume with everything in it; the caller has seen that nobody uses it.

        Raises
        ------
        NotFound
            When there is none of this name.
        """
        path = self._find(name)
        # Renamed first: one that is half removed must not look like a volume.
        grave = tempfile.mkdtemp(prefix=".deleted-", dir=self._root)
        os.rename(path, os.path.join(grave, name))
        shutil.rmtree(grave)

    def _find(self, name: str) -> Path:
        path = self._root / name
        # A name that is none, such as "..", may well lead to a directory.
        if not is_volume_name(name) or not path.is_dir():
            raise NotFound(
                f"there is no volume {name!r}", reason="unknown_volume", hint="Create it first."
            )
        return path

    def _describe(self, path: Path) -> Volume:
        return Volume(path.name, str(path), _measure_bytes(path), path.stat().st_ctime)


def _measure_bytes(path: Path) -> int:
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # it has just been removed
    return total
