"""Memory of agents, kernels and the nursery: forked and spawned, side by side on one server.

Proportional set sizes: a page that several processes share counts for each by its share.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from benchmarks.client import Kernel
from benchmarks.report import print_table, write_result
from benchmarks.servers import Server, Variant, start_ours

_SETTLE_S = 1.0
_KINDS = {
    "agent": "jupyter_remote_kernels.agent",
    "kernel": "ipykernel_launcher",
    "nursery": "jupyter_remote_kernels.agent.nursery",
}


def launch(server: Server, name: str, count: int) -> list[Kernel]:
    """Launch kernels of an environment and wait until each has answered."""
    kernels = []
    for _ in range(count):
        kernel = Kernel(Variant(name, server, f"remote-{name}"))
        kernel.connect()
        list(kernel.answers(kernel.execute("1+1"), limit_s=60))
        kernels.append(kernel)
    return kernels


def find(server: Server) -> dict[int, str]:
    """Return the kind of each process of the server's runtimes, by process id."""
    found = {}
    # Spawned agents are the server's children, forked ones the nursery's.
    for process in psutil.Process(server.pid).children(recursive=True):
        module = "".join(process.cmdline()[2:3])
        kind = next((kind for kind, name in _KINDS.items() if name == module), None)
        if kind is not None:
            found[process.pid] = kind
    return found


def measure(pids: dict[int, str]) -> dict[str, dict[str, float]]:
    """Return medians in MB by kind: proportional, private and resident."""
    sizes: dict[str, list[tuple[float, float, float]]] = {}
    for pid, kind in pids.items():
        memory = psutil.Process(pid).memory_full_info()
        sizes.setdefault(kind, []).append((memory.pss / 1e6, memory.uss / 1e6, memory.rss / 1e6))
    names = ("pss", "uss", "rss")
    return {
        kind: {name: statistics.median(row[at] for row in rows) for at, name in enumerate(names)}
        for kind, rows in sizes.items()
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=8)
    options = parser.parse_args()
    rows: list[list[object]] = []
    result: dict[str, object] = {}
    for way, name, count in (
        ("forked", "python", 1),
        ("forked", "python", options.count),
        ("spawned", "spawned", 1),
        ("spawned", "spawned", options.count),
    ):
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            start_ours(Path(folder) / "ours", {"spawned": {"fork": False}}) as server,
        ):
            time.sleep(_SETTLE_S)  # the nursery is there, and nothing else is being done
            kernels = launch(server, name, count)
            time.sleep(_SETTLE_S)
            pids = find(server)
            if way == "spawned":  # its nursery serves another environment
                pids = {pid: kind for pid, kind in pids.items() if kind != "nursery"}
            sizes = measure(pids)
            for kernel in kernels:
                kernel.close()
        result[f"{way} {count}"] = sizes
        rows += [[way, count, kind, *sizes[kind].values()] for kind in _KINDS if kind in sizes]
    print_table("memory in MB, medians", ["", "runtimes", "process", "pss", "uss", "rss"], rows)
    write_result("memory", {"megabytes": result})


if __name__ == "__main__":
    main()
