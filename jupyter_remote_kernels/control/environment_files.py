"""Environment files: one TOML file per environment, read, written and deleted.

Whoever writes the files by hand makes mistakes of every kind, so nothing that can lie in a
directory may do more than fail by itself: what is wrong is told as an
:class:`~jupyter_remote_kernels.errors.InvalidEnvironment` with key and reason.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import tomli_w

from jupyter_remote_kernels.errors import Conflict, InvalidEnvironment
from jupyter_remote_kernels.model.reading import format_size, wrong

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SUFFIX = ".toml"
LARGEST_FILE_BYTES = 256 * 1024
_PLACE = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")
_ASSIGNMENT = re.compile(r"\s*[\"']?([\w.-]+)[\"']?\s*=")
_TABLE = re.compile(r"\s*\[+\s*([\w.-]+)\s*\]")


def list_files(directory: Path) -> list[Path]:
    """Return the environment files of a directory, sorted; none when it is not there.

    Hidden files are left out: editors keep their own beside what they edit.

    Raises
    ------
    InvalidEnvironment
        When it is there and cannot be listed.
    """
    try:
        found = sorted(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InvalidEnvironment(f"cannot be listed: {error.strerror}") from error
    return [item for item in found if item.suffix == SUFFIX and not item.name.startswith(".")]


def read_file(path: Path) -> dict[str, Any]:
    """Return the table in a file.

    Raises
    ------
    FileNotFoundError
        When it is gone.
    InvalidEnvironment
        When it cannot be read; the message gives the line, and the key where the line has one.
    """
    text = read_text(path)
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise InvalidEnvironment("is nested too deeply") from None
    except ValueError as error:  # also numbers and dates that Python has no room for
        raise _locate(str(error), text) from None
    return table


def read_text(path: Path) -> str:
    """Return a file's text; see :func:`read_file`."""
    try:
        # A pipe that nobody writes to must not stop the server.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise InvalidEnvironment("is no ordinary file")
            data = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            raise
        raise InvalidEnvironment(f"cannot be read: {error.strerror}") from error
    if len(data) > LARGEST_FILE_BYTES:
        raise _too_large()
    try:
        # Some editors begin a file with a mark of their own.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidEnvironment(f"is not UTF-8 (line {line})") from None


def make_text(data: Mapping[str, Any]) -> str:
    """Return a checked table as TOML.

    TOML has no null: a key without a value is left out, which means the same here.
    """
    tidy = {key: value for key, value in data.items() if value is not None}
    for table in ("resources", "max_resources"):
        if table in tidy:
            sizes = {key: value for key, value in tidy[table].items() if value is not None}
            if "memory_bytes" in sizes:
                sizes["memory"] = format_size(sizes.pop("memory_bytes"))
            tidy[table] = sizes
    return tomli_w.dumps(tidy)


def write_file(directory: Path, name: str, text: str) -> bool:
    """Write an environment's file: all of it or nothing, for the owner's eyes only.

    Parameters
    ----------
    directory : Path
        Made when it is not there, with mode 0700.
    name : str
        The environment's name, checked already.
    text : str
        TOML.

    Returns
    -------
    bool
        Whether the file is new.

    Raises
    ------
    Conflict
        When it cannot be written.
    InvalidEnvironment
        When it is too large to be read again.
    """
    path, data = directory / f"{name}{SUFFIX}", text.encode()
    if len(data) > LARGEST_FILE_BYTES:
        raise _too_large()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        is_new = not os.path.lexists(path)
        descriptor, building = tempfile.mkstemp(prefix=f".{name}-", suffix=".new", dir=directory)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(descriptor)
            os.replace(building, path)
        except BaseException:  # whatever it was: nothing half-written stays behind
            os.unlink(building)
            raise
    except OSError as error:
        raise _not_writable(path, error) from error
    return is_new


def delete_file(directory: Path, name: str) -> bool:
    """Delete an environment's file; return whether it was there.

    Raises
    ------
    Conflict
        When it cannot be deleted.
    """
    path = directory / f"{name}{SUFFIX}"
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _not_writable(path, error) from error
    return True


def take_signature(directories: Iterable[Path]) -> tuple[object, ...]:
    """Return something that differs when a file was added, changed or removed. Cheap."""
    signature: list[object] = []
    for directory in directories:
        try:
            with os.scandir(directory) as entries:
                signature += [_sign(entry) for entry in entries if entry.name.endswith(SUFFIX)]
        except FileNotFoundError:
            continue  # the same as an empty one
        except OSError as error:
            signature.append((str(directory), error.errno))
    return tuple(sorted(signature, key=str))


def _sign(entry: os.DirEntry[str]) -> tuple[object, ...]:
    try:
        info = os.stat(entry.path)
    except OSError as error:
        return (entry.path, error.errno)
    return (entry.path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


def _locate(message: str, text: str) -> InvalidEnvironment:
    """Say where a file is no TOML, and in which key when its line says so."""
    place = _PLACE.search(message)
    if place is None:
        return InvalidEnvironment(f"is no TOML: {message}")
    lines = text.splitlines()[: int(place[1]) if place[1] else None]
    what = _PLACE.sub("", message).strip()
    why = f"is no TOML: {what} (line {max(1, len(lines))})"
    keys = [found[1] for line in lines[-1:] if (found := _ASSIGNMENT.match(line))]
    tables = [found[1] for line in lines if (found := _TABLE.match(line))]
    key = ".".join([*tables[-1:], *keys])
    return wrong(key, why) if key else InvalidEnvironment(why)


def _too_large() -> InvalidEnvironment:
    return InvalidEnvironment(f"the file is larger than {LARGEST_FILE_BYTES // 1024} KiB")


def _not_writable(path: Path, error: OSError) -> Conflict:
    return Conflict(
        f"the environment's file {path} cannot be changed: {error.strerror}",
        reason="environment_not_writable",
        hint="See who may write to that directory.",
    )
