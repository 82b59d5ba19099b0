"""Round trip of ``pass`` to the reply and to idle, all variants in each round.

Beside the four ways to a kernel the remote one is measured with a client of the old websocket
protocol that does not set TCP_NODELAY on its side: no client may see the 40 ms step that a
delayed acknowledgement makes.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.client import Kernel
from benchmarks.report import print_table, ratio_per_round, summarise, write_result
from benchmarks.servers import start_variants

_STEP_MS = (35.0, 60.0)
_BINS_MS = (2, 4, 6, 8, 10, 15, 20, 35, 60, 100)


def measure(kernel: Kernel) -> tuple[float, float]:
    """Run ``pass`` once; return milliseconds to the reply and to the idle status."""
    started = time.perf_counter()
    reply = idle = float("inf")
    for now, message in kernel.answers(kernel.execute("pass"), limit_s=30):
        if message.kind == "execute_reply":
            reply = (now - started) * 1000
        elif message.is_idle:
            idle = (now - started) * 1000
    return reply, idle


def histogram(values: list[float]) -> dict[str, int]:
    """Count the values below each border, in milliseconds."""
    counts: dict[str, int] = {}
    low = 0.0
    for high in (*_BINS_MS, float("inf")):
        counts[f"<{high} ms"] = sum(1 for value in values if low <= value < high)
        low = high
    return counts


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--no-gateway", action="store_true", help="leave out the gateway")
    options = parser.parse_args()
    times: dict[str, list[tuple[float, float]]] = {}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start_variants(Path(folder), gateway=not options.no_gateway) as variants,
    ):
        remote = next(variant for variant in variants if variant.name == "remote")
        old = dataclasses.replace(remote, name="remote, old", subprotocol=False, nodelay=False)
        kernels = [Kernel(variant) for variant in (*variants, old)]
        try:
            for kernel in kernels:
                kernel.connect()
                times[kernel.variant.name] = []
                for _ in range(20):
                    measure(kernel)
            for number in range(options.rounds):
                shift = number % len(kernels)
                for kernel in kernels[shift:] + kernels[:shift]:
                    times[kernel.variant.name].append(measure(kernel))
        finally:
            for kernel in kernels:
                kernel.close()
    report(times)


def report(times: dict[str, list[tuple[float, float]]]) -> None:
    """Print the tables and write the JSON."""
    rows = []
    document: dict[str, Any] = {}
    local_reply = [reply for reply, _ in times["local"]]
    local_idle = [idle for _, idle in times["local"]]
    for name, pairs in times.items():
        reply, idle = [a for a, _ in pairs], [b for _, b in pairs]
        step = sum(1 for value in idle if _STEP_MS[0] <= value < _STEP_MS[1])
        summary = {
            "reply_ms": summarise(reply),
            "idle_ms": summarise(idle),
            "reply_to_local": ratio_per_round(reply, local_reply),
            "idle_to_local": ratio_per_round(idle, local_idle),
            "in_the_40_ms_step": step,
            "histogram_idle": histogram(idle),
        }
        document[name] = summary
        figures = [summarise(each)[key] for each in (reply, idle) for key in ("median", "p95")]
        rows.append(
            [name, *figures, summary["reply_to_local"], summary["idle_to_local"], step, len(pairs)]
        )
    head = ["variant", "reply", "p95", "idle", "p95", "reply / local", "idle / local"]
    print_table("round trip of `pass`, milliseconds", [*head, "35-60 ms", "of"], rows)
    bins = list(histogram([]))
    print_table(
        "how many idles within",
        ["variant", *bins],
        [[name, *document[name]["histogram_idle"].values()] for name in times],
    )
    write_result("roundtrip", {"variants": document})


if __name__ == "__main__":
    main()
