"""Variables from kernel to kernel, beside pickle over plain loopback TCP in the same round.

The kernels are two runtimes of a control plane in this process, then a runtime and an ordinary
kernel. Beside them two plain Python processes do the least that can be done: one pickles the same
array with its buffers out of band and writes it to a socket, the other reads it into memory and
unpickles it; once more with the buffers inside the pickle, as most programs do it. What arrives is
compared by its hash, and the memory of every process is watched above what it had, and above the
array itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_client.manager import KernelManager

from benchmarks.report import print_table, ratio_per_round, write_result
from benchmarks.runtime import Runtime, running_plane
from benchmarks.state import MemoryWatch, find_pids
from jupyter_remote_kernels.control.endpoints import runtime_endpoint
from jupyter_remote_kernels.control.restoring import Choice
from jupyter_remote_kernels.control.transfers import Transfer
from jupyter_remote_kernels.exchange.local import LocalKernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_client.blocking.client import BlockingKernelClient

    from jupyter_remote_kernels.control.endpoints import StateEndpoint
    from jupyter_remote_kernels.control.plane import ControlPlane

_BAR = 0.5
_MEMORY_BAR = (64 << 20, 0.05)
_LIMIT_S = 600.0
_PAIRS = {"out-of-band pickle": True, "plain pickle": False}
_MAKE = "import numpy as np\nx = np.random.default_rng(0).integers(0, 256, {size}, dtype='u1')"
_COMPARE = """
import hashlib, pathlib
pathlib.Path({path!r}).write_text(hashlib.sha256(x).hexdigest())
"""
_PAIR = """\
import os, pickle, socket, struct, sys, time
import numpy as np
size, out_of_band = int(sys.argv[1]), sys.argv[2] == "1"
listener = socket.create_server(("127.0.0.1", 0))
def read(connection):
    head = connection.recv(8, socket.MSG_WAITALL)
    data = bytearray(struct.unpack("<Q", head)[0])
    view = memoryview(data)
    while view:
        view = view[connection.recv_into(view):]
    return data
if os.fork() == 0:
    connection = socket.create_connection(listener.getsockname())
    stream = read(connection)
    pickle.loads(stream, buffers=[read(connection)] if out_of_band else [])
    connection.sendall(b"k")
    os._exit(0)
x = np.random.default_rng(0).integers(0, 256, size, dtype="u1")
connection, _ = listener.accept()
start, buffers = time.perf_counter(), []
keep = (lambda buffer: buffers.append(buffer.raw())) if out_of_band else None
for part in [pickle.dumps(x, protocol=5, buffer_callback=keep), *buffers]:
    connection.sendall(struct.pack("<Q", memoryview(part).nbytes))
    connection.sendall(part)
assert connection.recv(1) == b"k"
print(time.perf_counter() - start)
"""


def measure_pair(size: int, *, out_of_band: bool) -> float:
    """Return the seconds that two plain processes need."""
    command = [sys.executable, "-c", _PAIR, str(size), str(int(out_of_band))]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


class Ordinary:
    """An ordinary kernel of this process.

    Parameters
    ----------
    plane : ControlPlane
        Asks it.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._manager = KernelManager()
        self._manager.start_kernel()
        self._client: BlockingKernelClient = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        self.pid = int(self._manager.provisioner.pid)  # type: ignore[union-attr]
        url = f"tcp://{self._manager.ip}:{self._manager.shell_port}"
        key = self._manager.session.key.decode()
        self.endpoint = plane.local_kernels.make(LocalKernel("ordinary", url, key, self.pid))

    def run(self, code: str) -> None:
        """Run a cell."""
        reply = self._client.execute_interactive(code, timeout=_LIMIT_S, output_hook=_ignore)
        assert reply["content"]["status"] == "ok", reply["content"]

    def stop(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


class Mine:
    """A runtime of this process.

    Parameters
    ----------
    plane : ControlPlane
        Where it is launched.
    """

    def __init__(self, plane: ControlPlane) -> None:
        self._runtime = Runtime(plane)
        self.pids = find_pids(self._runtime)
        self.endpoint = runtime_endpoint(self._runtime.driver)

    def run(self, code: str) -> None:
        """Run a cell."""
        self._runtime.run(code, limit_s=_LIMIT_S)

    def stop(self) -> None:
        """Terminate it."""
        self._runtime.stop()


def _ignore(_message: Any) -> None:
    """Nothing is printed."""


def transfer(plane: ControlPlane, source: StateEndpoint, target: StateEndpoint) -> float:
    """Give the target ``x``; returns the seconds."""
    moving = Transfer(source, target, Choice(["x"], "replace"), _ignore)
    started = time.perf_counter()
    told = plane.submit(moving.run()).result(_LIMIT_S)
    seconds = time.perf_counter() - started
    assert [item["name"] for item in told["transferred"]] == ["x"], told
    return seconds


@contextmanager
def three_kernels(plane: ControlPlane) -> Iterator[tuple[Mine, Mine, Ordinary]]:
    """Two runtimes and an ordinary kernel."""
    kernels = Mine(plane), Mine(plane), Ordinary(plane)
    try:
        yield kernels
    finally:
        for kernel in kernels:
            kernel.stop()


def measure_size(
    plane: ControlPlane, folder: Path, size: int, rounds: int, *, with_pairs: bool
) -> dict[str, Any]:
    """Move an array of one size through all ways, some rounds of each."""
    seconds: dict[str, list[float]] = {}
    growth: dict[str, int] = {}
    with three_kernels(plane) as (source, target, ordinary):
        source.run(_MAKE.format(size=size))
        for kernel in (target, ordinary):
            kernel.run("import numpy as np")
        ways: dict[str, Mine | Ordinary] = {
            "runtime to runtime": target,
            "to an ordinary kernel": ordinary,
        }
        for _ in range(rounds):
            for name, other in ways.items():
                other.run("x = None")
                with MemoryWatch(_find_all(source, target, ordinary)) as watch:
                    taken_s = transfer(plane, source.endpoint, other.endpoint)
                seconds.setdefault(name, []).append(taken_s)
                getter = "target" if other is target else "ordinary"
                _note_growth(growth, watch.growth, size, getter)
            for name, is_out in _PAIRS.items() if with_pairs else ():
                seconds.setdefault(name, []).append(measure_pair(size, out_of_band=is_out))
        hashes = {_hash(kernel, folder / "hash") for kernel in (source, target, ordinary)}
    assert len(hashes) == 1, "what has arrived is something else"
    return {"size_bytes": size, "seconds": seconds, "growth_bytes": growth}


def _find_all(source: Mine, target: Mine, ordinary: Ordinary) -> dict[str, int]:
    return {
        "server": os.getpid(),
        "agent of the source": source.pids["agent"],
        "source": source.pids["kernel"],
        "agent of the target": target.pids["agent"],
        "target": target.pids["kernel"],
        "ordinary": ordinary.pid,
    }


def _note_growth(largest: dict[str, int], grown: dict[str, int], size: int, getter: str) -> None:
    """Keep the most that each process has had above its live state."""
    for name, bytes_ in grown.items():
        own = size if name == getter else 0
        largest[name] = max(largest.get(name, 0), bytes_ - own)


def _hash(kernel: Mine | Ordinary, path: Path) -> str:
    kernel.run(_COMPARE.format(path=str(path)))
    return path.read_text()


def report(results: list[dict[str, Any]]) -> None:
    """Print times, rates and memory."""
    rows, memory = [], []
    for result in results:
        size = result["size_bytes"]
        reference = result["seconds"].get("out-of-band pickle")
        for name, seconds in result["seconds"].items():
            taken_s, share = statistics.median(seconds), None
            if reference is not None:
                share = ratio_per_round(reference, seconds)
            rows.append([size / 1e6, name, taken_s, size / 1e9 / taken_s, share])
        allowed = (_MEMORY_BAR[0] + _MEMORY_BAR[1] * size) / 1e6
        for name, grown in result["growth_bytes"].items():
            memory.append([size / 1e6, name, grown / 1e6, allowed])
    head = ["MB", "way", "s", "GB/s", "of out-of-band"]
    print_table(f"transfers; the bar of the runtimes is {_BAR} of out-of-band", head, rows)
    print_table("memory above the state, MB", ["MB", "process", "most", "bar"], memory)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--megabytes", type=int, action="append", help="size of the array")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="without the plain processes")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        os.environ["JUPYTER_DATA_DIR"] = os.environ["IPYTHONDIR"] = str(folder)
        with running_plane(folder) as plane:
            results = [
                measure_size(
                    *(plane, folder, megabytes * 1_000_000, options.rounds),
                    with_pairs=not options.alone,
                )
                for megabytes in options.megabytes or [8, 100, 1000]
            ]
    report(results)
    if not options.alone:
        write_result("transfer", {"results": results})


if __name__ == "__main__":
    main()
