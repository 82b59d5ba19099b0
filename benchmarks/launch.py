"""Launch to first result: POST, websocket, ``1+1``, DELETE, cold, all variants in each round.

``remote`` is forked from a nursery, as is the default; ``spawned`` is not; ``warm`` was there
before anybody asked; ``persistent`` has a volume.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.client import Kernel
from benchmarks.report import print_table, ratio_per_round, summarise, write_result
from benchmarks.servers import Variant, start_variants

# What a launch leaves to be done behind it must not be charged to the next one.
QUIET_S = 0.5
# A pool tells nobody when it is full again.
REFILL_S = 2.0
ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "spawned": {"fork": False},
    "warm": {"warm": 1},
    "persistent": {"volume": {"default": True}},
}
STEPS = ("post", "open", "reply", "result", "delete")


def measure(variant: Variant) -> dict[str, float]:
    """Launch one kernel and return the seconds from the POST to each step.

    ``delete`` is the duration of the DELETE alone.
    """
    time.sleep(REFILL_S if variant.name == "warm" else QUIET_S)
    started = time.perf_counter()
    kernel = Kernel(variant)
    seconds = {"post": time.perf_counter() - started}
    kernel.connect()
    seconds["open"] = time.perf_counter() - started
    for now, message in kernel.answers(kernel.execute("1+1"), limit_s=60):
        if message.kind == "execute_reply":
            seconds["reply"] = now - started
        elif message.kind == "execute_result":
            seconds["result"] = now - started
    before_delete = time.perf_counter()
    kernel.close()
    seconds["delete"] = time.perf_counter() - before_delete
    return seconds


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-gateway", action="store_true", help="leave out the gateway")
    parser.add_argument("--no-volume", action="store_true", help="leave out the volume")
    options = parser.parse_args()
    more = {k: v for k, v in ENVIRONMENTS.items() if k != "persistent" or not options.no_volume}
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        start_variants(Path(folder), gateway=not options.no_gateway, more=more) as variants,
    ):
        times: dict[str, list[dict[str, float]]] = {each.name: [] for each in variants}
        for variant in variants:
            measure(variant)  # the first launch of a server also fills the page cache
        for number in range(options.rounds):
            # Whoever is last in a round inherits the clean-up of all others: take turns.
            shift = number % len(variants)
            for variant in variants[shift:] + variants[:shift]:
                times[variant.name].append(measure(variant))
    report(times)


def report(times: dict[str, list[dict[str, float]]]) -> None:
    """Print the table and write the JSON."""
    rows = []
    document = {}
    for name, rounds in times.items():
        # A result that never came is the worst result, not a missing number.
        columns = {step: [each.get(step, float("inf")) for each in rounds] for step in STEPS}
        reference = [each.get("result", float("inf")) for each in times["local"]]
        stock = [each.get("result", float("inf")) for each in times["stock"]]
        summary = {step: summarise(values) for step, values in columns.items()}
        to_local = ratio_per_round(columns["result"], reference)
        to_stock = ratio_per_round(columns["result"], stock)
        document[name] = {"seconds": summary, "to_local": to_local, "to_stock": to_stock}
        result = summary["result"]
        middle = [summary[step]["median"] for step in STEPS]
        rows.append([name, *middle, result["min"], result["p95"], to_local, to_stock])
    head = ["variant", *STEPS, "min", "p95", "/ local", "/ stock"]
    print_table(
        f"launch to first result, seconds, medians of {len(times['local'])} rounds", head, rows
    )
    write_result("launch", {"variants": document, "rounds": times})


if __name__ == "__main__":
    main()
