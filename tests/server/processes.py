"""Finding the processes that a test's runtimes consist of, without asking our own code."""

from __future__ import annotations

from pathlib import Path

LABEL = b"JUPYTER_REMOTE_KERNELS_LABEL="


def labelled_processes(data_dir: Path, label: str | None = None) -> dict[int, str]:
    """Return the command of every living process that runs for a runtime.

    Parameters
    ----------
    data_dir : Path
        The Jupyter data directory in their environment; it keeps parallel tests apart.
    label : str, optional
        Of this runtime only.
    """
    home = f"JUPYTER_DATA_DIR={data_dir}".encode()
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended, or is somebody else's
        labels = [item[len(LABEL) :].decode() for item in variables if item.startswith(LABEL)]
        if labels and home in variables and label in (None, labels[0]):
            found[int(folder.name)] = command
    return found
