"""Check that the one wheel in a folder holds everything that makes the extension work."""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

WANTED = (
    r"jupyter_remote_kernels/agent/__main__\.py",
    r"jupyter_remote_kernels/jupyter/openapi\.yaml",
    r"jupyter_remote_kernels/jupyter/events/runtime\.yaml",
    r".*\.data/data/etc/jupyter/jupyter_server_config\.d/jupyter_remote_kernels\.json",
    r".*\.data/data/share/jupyter/labextensions/jupyter-remote-kernels/install\.json",
    r".*\.data/data/share/jupyter/labextensions/jupyter-remote-kernels/package\.json",
    r".*\.data/data/share/jupyter/labextensions/jupyter-remote-kernels/static/remoteEntry\..*\.js",
    r".*\.dist-info/entry_points\.txt",
    r".*\.dist-info/licenses/LICENSE",
)
UNWANTED = (r"jupyter_remote_kernels/labextension/.*", r"tests/.*", r"benchmarks/.*", r".*\.map")


def main(folder: Path) -> list[str]:
    """Return what is wrong, one line each."""
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        return [f"{len(wheels)} wheels in {folder}, not one"]
    with zipfile.ZipFile(wheels[0]) as archive:
        names = archive.namelist()
    missing = [each for each in WANTED if not any(re.fullmatch(each, name) for name in names)]
    extra = [name for name in names if any(re.fullmatch(each, name) for each in UNWANTED)]
    print(f"{wheels[0].name}: {len(names)} files")
    return [f"missing: {each}" for each in missing] + [f"should not be there: {n}" for n in extra]


if __name__ == "__main__":
    problems = main(Path(sys.argv[1]))
    print("\n".join(problems))
    sys.exit(bool(problems))
