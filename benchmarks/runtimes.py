"""Many runtimes with a tiny kernel on one server: do all answer, and what does each cost.

The server's memory is its proportional set size, so that pages which it shares with its agents
are not counted as its own.
"""

from __future__ import annotations

import argparse
import selectors
import socket
import statistics
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from benchmarks.client import Kernel
from benchmarks.report import print_table, write_result
from benchmarks.servers import TINY_KERNEL, Server, Variant, start_ours

_LAUNCHES_AT_ONCE = 4


class Attendant:
    """Reads from the websockets that nobody asks anything, so that the server's pings are answered.

    A browser does that by itself; the server closes a websocket that stays silent.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._attend, daemon=True)
        self._thread.start()

    def watch(self, kernel: Kernel) -> None:
        """Read what comes for this kernel until :meth:`stop`; its answer has come already."""
        self._selector.register(kernel.fileno(), selectors.EVENT_READ, kernel)

    def stop(self) -> None:
        """Leave all websockets to others again."""
        self._wake.send(b"x")
        self._thread.join()
        self._selector.close()
        self._wake.close()
        self._woken.close()

    def _attend(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                key.data.receive(0.0)


def launch(variant: Variant, attendant: Attendant) -> Kernel | None:
    """Launch one runtime and see its first answer, over a websocket that stays open."""
    kernel = Kernel(variant)
    kernel.connect()
    if not answers(kernel):
        return None
    attendant.watch(kernel)
    return kernel


def answers(kernel: Kernel) -> bool:
    """Whether a kernel answers a request to the end."""
    seen = [message.kind for _, message in kernel.answers(kernel.execute("hello"), limit_s=60)]
    return "execute_reply" in seen and "execute_result" in seen


def usage(server: Server) -> dict[str, float]:
    """Return memory in MB, descriptors and threads of the server's process."""
    process = psutil.Process(server.pid)
    memory = process.memory_full_info()
    return {
        "pss_mb": memory.pss / 1e6,
        "rss_mb": memory.rss / 1e6,
        "descriptors": process.num_fds(),
        "threads": process.num_threads(),
    }


def agents_mb(server: Server) -> list[float]:
    """Return the proportional set size of every agent, in MB."""
    sizes = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "jupyter_remote_kernels.agent" in command and process.pid != server.pid:
            sizes.append(process.memory_full_info().pss / 1e6)
    return sizes


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start_ours(Path(folder) / "ours") as server,
    ):
        variant = Variant("remote", server, TINY_KERNEL)
        attendant = Attendant()
        first = launch(variant, attendant)
        before = usage(server)
        started = time.perf_counter()
        with ThreadPoolExecutor(_LAUNCHES_AT_ONCE) as pool:
            launched = list(
                pool.map(lambda _: launch(variant, attendant), range(options.count - 1))
            )
        launch_s = time.perf_counter() - started
        attendant.stop()
        kernels = [kernel for kernel in (first, *launched) if kernel is not None]
        started = time.perf_counter()
        answered = sum(answers(kernel) for kernel in kernels)
        answer_ms = (time.perf_counter() - started) / max(1, len(kernels)) * 1000
        after = usage(server)
        agents = agents_mb(server)
        started = time.perf_counter()
        with ThreadPoolExecutor(_LAUNCHES_AT_ONCE) as pool:
            list(pool.map(Kernel.close, kernels))
        delete_s = time.perf_counter() - started
        left = len(server.request("GET", "/api/kernels"))
    result = {
        "asked_for": options.count,
        "launched": len(kernels),
        "answered_together": answered,
        "left_after_delete": left,
        "launch_s_each": launch_s / max(1, options.count - 1),
        "round_trip_ms": answer_ms,
        "delete_s_each": delete_s / max(1, len(kernels)),
        "agent_pss_mb": statistics.median(agents) if agents else 0.0,
        "server_before": before,
        "server_after": after,
        "per_runtime": {
            key: (after[key] - before[key]) / max(1, options.count - 1) for key in before
        },
    }
    print_table(
        f"{options.count} runtimes with a tiny kernel, one open websocket each",
        ["figure", "value"],
        [[key, value] for key, value in result.items() if not isinstance(value, dict)],
    )
    print_table(
        "the server's process",
        ["", *before],
        [
            ["with one runtime", *before.values()],
            ["with all", *after.values()],
            ["per runtime", *[(after[k] - before[k]) / max(1, options.count - 1) for k in before]],
        ],
    )
    write_result("runtimes", result)


if __name__ == "__main__":
    main()
