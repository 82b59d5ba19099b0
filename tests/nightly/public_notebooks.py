"""Runs notebooks of others with a pause after every cell, and reports what differs.

    python -m tests.nightly.public_notebooks [--json FILE] NOTEBOOK...

Each runs three times in its own folder on a real server: twice as it is, then with a pause and a
resume after every cell. What differs between the first two, such as a measured time, is not
compared. The notebooks are no part of this project: fetch a collection, choose, and name the paths.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.server.browser import Browser
from tests.server.notebook_runs import (
    PausedAfterEveryCell,
    Step,
    compare,
    prepare,
    read_cells,
    run_cells,
)
from tests.server.server_process import start_process

ENVIRONMENTS = {
    "notebook": {
        "display_name": "Notebook",
        "provider": "local",
        # Sets are printed in the order of hashes.
        "env": {"PYTHONHASHSEED": "0"},
    }
}


@dataclass
class Row:
    """What is reported of one notebook.

    Attributes
    ----------
    notebook : str
        Its name.
    cells, failing : int
        Its code cells, and how many of them raise without any pause.
    variables : int
        How many variables it has at its end.
    unstable : list of str
        What differs between two runs without a pause, so that it says nothing.
    named : dict
        What was not carried, with the reason that was told.
    missing, changed, outputs : list
        The differences: cell and name; for outputs the cell and both.
    seconds : float
        Per cell, for pause and resume and all.
    """

    notebook: str
    cells: int = 0
    failing: int = 0
    variables: int = 0
    unstable: list[str] = field(default_factory=list)
    named: dict[str, str] = field(default_factory=dict)
    missing: list[Any] = field(default_factory=list)
    changed: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    seconds: float = 0.0

    def summary(self) -> str:
        """Return the row of the table."""
        parts = [self.notebook, self.cells, self.failing, self.variables, len(self.named)]
        parts += [len(self.missing), len(self.changed), len(self.outputs), len(self.unstable)]
        return "| " + " | ".join(str(part) for part in parts) + f" | {self.seconds:.1f} |"


HEADER = (
    "| notebook | cells | raise anyway | variables | named | missing | changed | outputs "
    "| unstable | s/cell |\n|---|---|---|---|---|---|---|---|---|---|"
)


async def run_once(server: Any, notebook: Path, *, with_pauses: bool) -> list[Step]:
    """Run a notebook in a runtime of its own."""
    reply = await server.api("POST", "/runtimes", {"environment": "notebook"})
    runtime_id = reply.body["id"]
    browser = Browser()
    try:
        path = f"/runtimes/{runtime_id}"
        while (await server.api("GET", path)).body["phase"] != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        url = f"{server.api.base_url}/api/kernels/{runtime_id}/channels"
        request = HTTPRequest(
            f"{url}?session_id={browser.session_id}".replace("http", "ws", 1),
            headers=server.api.auth_header,
        )
        browser.socket = await websocket_connect(
            request, subprotocols=["v1.kernel.websocket.jupyter.org"], max_message_size=1 << 30
        )
        await prepare(browser, str(notebook.parent))
        between = PausedAfterEveryCell(server.api, runtime_id) if with_pauses else None
        return await run_cells(browser, read_cells(notebook), between)
    finally:
        if browser.socket is not None:
            await browser.close()
        await server.api("DELETE", f"/runtimes/{runtime_id}")


async def try_notebook(server: Any, path: Path) -> Row:
    """Run a notebook three times and compare."""
    row = Row(path.stem)
    first = await run_once(server, path, with_pauses=False)
    plain = await run_once(server, path, with_pauses=False)
    started = time.perf_counter()
    paused = await run_once(server, path, with_pauses=True)
    row.cells, row.seconds = len(plain), (time.perf_counter() - started) / max(1, len(plain))
    row.failing = len([step for step in plain if step.outputs[0][0] != "ok"])
    row.variables = len(plain[-1].look["variables"])
    unstable, found = compare(first, plain), compare(plain, paused)
    cells = {number for number, *_ in unstable.outputs}
    names = {name for _, name in [*unstable.changed, *unstable.missing]}
    row.unstable = [*(f"cell {number}" for number in sorted(cells)), *sorted(names)]
    row.named = {name: entry["reason"] for name, entry in found.named.items()}
    row.missing = [each for each in found.missing if each[1] not in names]
    row.changed = [each for each in found.changed if each[1] not in names]
    row.outputs = [each for each in found.outputs if each[0] not in cells]
    return row


def save(rows: list[Row], report: Path | None) -> None:
    """Write what is known so far."""
    if report is not None:
        report.write_text(json.dumps([asdict(each) for each in rows], indent=1), encoding="utf-8")


async def run_all(paths: list[Path], report: Path | None) -> None:
    """Start a server, run the notebooks, print the table."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        settings = f"--RemoteKernels.environments={ENVIRONMENTS!r}"
        server = await start_process(folder, settings)
        try:
            for path in paths:
                row = await try_notebook(server, path)
                rows.append(row)
                print(row.summary(), flush=True)
                save(rows, report)
        finally:
            await server.end(signal.SIGTERM)
    print(HEADER, *(row.summary() for row in rows), sep="\n")
    for row in rows:
        for name, reason in row.named.items():
            print(f"{row.notebook}: {name}: {reason}")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("notebook", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, help="where all differences are written")
    arguments = parser.parse_args()
    asyncio.run(run_all([path.resolve() for path in arguments.notebook], arguments.json))


if __name__ == "__main__":
    main()
