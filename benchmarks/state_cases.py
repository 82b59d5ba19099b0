"""What the benchmark of state saves and restores, and what it is compared with."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What a case needs, and how its state is made.
CASES = {
    "numpy, 1 GB": (
        "numpy",
        "import numpy as np\nx = np.random.default_rng(0).random(125_000_000)",
    ),
    "torch, 200 MB": ("torch", "import torch\nx = {i: torch.rand(5_000_000) for i in range(10)}"),
    "polars, 780 MB": (
        "polars",
        "import numpy as np, polars as pl\nr = np.random.default_rng(0)\n"
        "x = pl.DataFrame({f'c{i}': r.random(6_500_000) for i in range(14)}"
        " | {'s': np.arange(6_500_000).astype('U7')})",
    ),
    "pandas str, 920 MB": (
        "pandas",
        "import numpy as np, pandas as pd\nr = np.random.default_rng(0)\n"
        "x = pd.DataFrame({f'c{i}': r.random(6_000_000) for i in range(15)})\n"
        "x['s'] = pd.array(np.arange(6_000_000).astype('U9'), dtype='str')\n"
        "x['t'] = x['s'].str.zfill(16)",
    ),
    "1 M lists": ("", "x = {i: [i, str(i), i * 0.5] for i in range(1_000_000)}"),
    "pandas mixed, 1 GB": (
        "pandas",
        "import numpy as np, pandas as pd\nr, n = np.random.default_rng(0), 5_000_000\n"
        "words = np.array([f'label {i}' for i in range(1000)], dtype=object)\n"
        "x = pd.DataFrame({f'c{i}': r.random(n) for i in range(9)})\n"
        "x['n'] = r.integers(0, 1 << 40, n)\n"
        "x['when'] = pd.date_range('2000-01-01', periods=n, freq='s')\n"
        "x['zone'] = x['when'].dt.tz_localize('UTC').dt.tz_convert('Europe/Berlin')\n"
        "kinds = [f'kind {i}' for i in range(100)]\n"
        "x['kind'] = pd.Categorical.from_codes(r.integers(0, 100, n), kinds)\n"
        "x['maybe'] = pd.array(r.integers(0, 1000, n), dtype='Int64')\n"
        "x.loc[::7, 'maybe'] = pd.NA\n"
        "x['flag'] = pd.array(r.random(n) < 0.5, dtype='boolean')\n"
        "x['text'] = pd.Series([f'value {i:07d}' for i in range(n)], dtype=object)\n"
        "x['label'] = pd.Series(words[r.integers(0, 1000, n)], dtype=object)",
    ),
}
FRAME = (
    "import numpy as np, pandas as pd\nr = np.random.default_rng(0)\n"
    "x = pd.DataFrame(r.random((4_000_000, 10)), columns=list('abcdefghij'))\n"
    "y = r.random(10_000_000)"
)
CHANGES = {
    "first": "pass",
    "unchanged": "pass",
    "a column added": "x['k'] = np.arange(4_000_000)",
    "1,000 rows changed": "x.iloc[1000:2000, 3] = 0.0",
}
# Before the first capture, so that a kernel has none.
NO_FAST_HASH = "import sys\nsys.modules['xxhash'] = None"
PICKLERS = ("cloudpickle", "dill")
_PICKLER = """\
import json, sys, time
code, name = sys.argv[1:]
space = {}
exec(code, space)
value = space["x"]
pickler = __import__(name)
start = time.perf_counter(); data = pickler.dumps(value, protocol=5)
middle = time.perf_counter(); pickler.loads(data)
print(json.dumps([middle - start, time.perf_counter() - middle, len(data)]))
"""


def tiny(module: str) -> str:
    """Return code that makes next to nothing, with a module imported."""
    return f"import {module}\nx = 1" if module else "x = 1"


def measure_disk(folder: Path, size_bytes: int) -> tuple[float, float]:
    """Write so many bytes from one buffer with fsync, and read them into new memory; in seconds.

    They are read from the disk, as those of a snapshot are.
    """
    path, data = folder / "plain", bytearray(os.urandom(1 << 20)) * (size_bytes // (1 << 20) + 1)
    started = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        view = memoryview(data)[:size_bytes]
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())
    write_s = time.perf_counter() - started
    drop_cache(folder)
    started = time.perf_counter()
    # As a kernel's memory that is made for what it gets; not touched before.
    target = memoryview(mmap.mmap(-1, size_bytes))
    with path.open("rb", buffering=0) as file:
        while target:
            target = target[file.readinto(target) :]
    read_s = time.perf_counter() - started
    path.unlink()
    return write_s, read_s


def drop_cache(folder: Path) -> None:
    """Make the system forget the content of files, which are on the disk."""
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_size > 1 << 20:
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_pickler(name: str, code: str) -> list[float] | None:
    """Dump and load in memory; returns seconds, seconds and bytes, or None where it is missing."""
    if find_spec(name) is None:
        return None
    command = [sys.executable, "-c", _PICKLER, code, name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None
    numbers: list[float] = json.loads(done.stdout)
    return numbers
