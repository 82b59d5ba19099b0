"""Volumes of this machine's runtimes: linked into the home, for as long as one of them lives.

All runtimes of a user on one machine have one home. So a link is there from the start of the
first runtime that wants it to the end of the last one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@dataclass(frozen=True)
class VolumeMount:
    """A volume that a job is to see.

    Attributes
    ----------
    source : str
        The volume's directory on this host.
    path : str
        Where it is to appear; ``~`` is the home of the job.
    notes : str
        A directory of ours in which it is noted who sees what.
    """

    source: str
    path: str
    notes: str

    def to_json(self) -> dict[str, str]:
        """Return the form for a checkpoint."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> VolumeMount:
        """Read the form of a checkpoint."""
        return cls(str(data["source"]), str(data["path"]), str(data["notes"]))

    @property
    def target(self) -> Path:
        """Where the link lies."""
        return Path(self.path).expanduser()


def attach(label: str, mounts: Sequence[VolumeMount]) -> None:
    """Link volumes for a job.

    Parameters
    ----------
    label : str
        The job's.
    mounts : sequence of VolumeMount
        What it is to see.

    Raises
    ------
    ProviderError
        When something else is in the place. It is left as it is, and nothing is linked.
    """
    done: list[VolumeMount] = []
    for mount in mounts:
        with _locked_notes(mount) as notes:
            try:
                _link(mount)
            except OSError as error:
                detach(label, done)
                raise _taken(mount, error) from error
            (notes / label).touch(mode=0o600)
            done.append(mount)


def detach(label: str, mounts: Sequence[VolumeMount]) -> None:
    """Take a job's links away, unless another job still needs them; may be called again."""
    for mount in mounts:
        with _locked_notes(mount) as notes:
            (notes / label).unlink(missing_ok=True)
            if any(notes.iterdir()):
                continue
            with contextlib.suppress(OSError):  # no link: it is gone, or was never made
                if os.readlink(mount.target) == mount.source:
                    mount.target.unlink()


def _link(mount: VolumeMount) -> None:
    target = mount.target
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(mount.source)
    except FileExistsError:
        if os.readlink(target) != mount.source:
            raise


def _taken(mount: VolumeMount, error: OSError) -> ProviderError:
    return ProviderError(
        f"the volume cannot appear as {mount.path}: {error.strerror or error}",
        reason="volume_path_taken",
        hint="Rename what is there, or name another path in the environment's [volume].",
    )


@contextlib.contextmanager
def _locked_notes(mount: VolumeMount) -> Iterator[Path]:
    """Hold the directory of notes about one target."""
    root = Path(mount.notes)
    digest = hashlib.sha256(os.fsencode(mount.target)).hexdigest()[:16]
    notes = root / digest
    notes.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(root / f"{digest}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield notes
    finally:
        os.close(descriptor)
