"""Runs notebooks cell by cell, as they are or paused after every cell, and compares the two."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LOOK = (Path(__file__).parent / "kernel_look.py").read_text(encoding="utf-8")
_EXPRESSION = (
    f"(lambda space: (exec({_LOOK!r}, space), space['look'](get_ipython()))[1])"
    "({'__name__': 'look'})"
)
_SEEDS = ("__import__('random').seed(1)", "__import__('numpy').random.seed(1)")
# Addresses, the process that compiled a cell, the time of day, and the numbers that scikit-learn
# gives to what it shows, so that they differ within a page, are no matter of state.
_SCRUBBED = re.compile(
    r"0x[0-9a-f]{6,}|ipykernel_\d+[\\/]\d+|(?<!\d)\d{1,2}:\d\d:\d\d(\.\d+)?(?!\d)"
    r"|sk-(container|estimator)-id-\d+"
)


@dataclass
class Step:
    """What one cell has done.

    Attributes
    ----------
    outputs : list
        The reply and everything that was put out, in comparable form.
    look : dict
        What every variable was after it.
    not_carried : dict
        What the pause after it could not carry: name -> entry of the report.
    """

    outputs: list[Any]
    look: dict[str, Any]
    not_carried: dict[str, Any] = field(default_factory=dict)


def read_cells(path: Path) -> list[str]:
    """Return the code cells of a notebook."""
    document = json.loads(path.read_text(encoding="utf-8"))
    # The third version of the format has its cells in worksheets, and calls code "input".
    cells = document.get("cells") or [
        cell for sheet in document.get("worksheets", ()) for cell in sheet["cells"]
    ]
    sources = [
        cell.get("source", cell.get("input", "")) for cell in cells if cell["cell_type"] == "code"
    ]
    texts = [source if isinstance(source, str) else "".join(source) for source in sources]
    return [text for text in texts if text.strip()]


def scrub(value: Any) -> Any:
    """Remove from texts what differs between two processes."""
    if isinstance(value, str):
        return _SCRUBBED.sub("…", value)
    if isinstance(value, dict):
        return {key: scrub(item) for key, item in value.items()}
    return [scrub(item) for item in value] if isinstance(value, list) else value


def describe(outcome: Any) -> list[Any]:
    """Return a cell's reply and outputs in comparable form."""
    reply = outcome.reply
    printed = {"stdout": "", "stderr": ""}
    shown: list[Any] = []
    for message in outcome.output:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            printed[content["name"]] += content["text"]
        elif kind in ("display_data", "execute_result", "update_display_data"):
            shown.append([kind, content["data"], content["metadata"]])
        elif kind == "error":
            shown.append([kind, content["ename"], content["evalue"], content["traceback"]])
        elif kind not in ("status", "execute_input"):
            shown.append([kind])
    state = [reply["status"], reply["execution_count"], reply.get("payload")]
    return [scrub(each) for each in (state, printed, *shown)]


async def evaluate(browser: Any, expression: str) -> Any:
    """Return what an expression is, without a trace in the history."""
    content = {
        "code": "",
        "silent": True,
        "store_history": False,
        "user_expressions": {"it": expression},
        "allow_stdin": False,
    }
    answer = (await browser.ask("execute_request", content))["user_expressions"]["it"]
    assert answer["status"] == "ok", answer
    return ast.literal_eval(answer["data"]["text/plain"])


async def prepare(browser: Any, folder: str) -> None:
    """Begin in a directory, and with random numbers that are the same in each run."""
    await evaluate(browser, f"(__import__('os').chdir({folder!r}), {', '.join(_SEEDS)}) and None")


async def look_at(browser: Any) -> dict[str, Any]:
    """Return what every variable is."""
    found: dict[str, Any] = json.loads(await evaluate(browser, _EXPRESSION))
    return found


async def follow(api: Any, reply: Any) -> dict[str, Any]:
    """Wait for an operation as a client of REST does, by asking; returns its result."""
    assert reply.status == 202, reply
    operation = reply.body
    while operation["state"] == "running":
        await asyncio.sleep(0.02)
        operation = (await api("GET", f"/operations/{operation['id']}")).body
    assert operation["error"] is None, operation["error"]
    return operation["result"]  # type: ignore[no-any-return]


class PausedAfterEveryCell:
    """What happens between the cells of a notebook.

    Parameters
    ----------
    api : Api
        The server's REST.
    runtime_id : str
        The notebook's.
    """

    def __init__(self, api: Any, runtime_id: str) -> None:
        self._api = api
        self._path = f"/runtimes/{runtime_id}"

    async def pause(self) -> dict[str, Any]:
        """Pause; returns what was not carried, by name."""
        result = await follow(self._api, await self._api("POST", f"{self._path}/pause", {}))
        runtime = (await self._api("GET", self._path)).body
        assert runtime["phase"] == "paused", runtime
        return {entry["name"]: entry for entry in result["not_carried"]}

    async def resume(self) -> None:
        """Resume without a cell."""
        await follow(self._api, await self._api("POST", f"{self._path}/resume", {}))


async def run_cells(
    browser: Any, cells: list[str], between: PausedAfterEveryCell | None = None
) -> list[Step]:
    """Run cells one after the other, going on after errors; with pauses the next cell resumes."""
    steps = []
    for number, code in enumerate(cells, 1):
        outcome = await browser.execute(code, allow_stdin=False, stop_on_error=False)
        step = Step(describe(outcome), await look_at(browser))
        steps.append(step)
        if between is not None:
            step.not_carried = await between.pause()
            if number == len(cells):
                await between.resume()
                # The last pause counts too: what is looked at is what came back from it.
                step.look = await look_at(browser)
    return steps


@dataclass
class Comparison:
    """What a run with pauses did otherwise, each with the number of the cell.

    Attributes
    ----------
    outputs : list of tuple
        Cell, what it should have put out, what it did put out.
    missing : list of tuple
        Cell and name of variables that are not there, and that no pause has named.
    changed : list of tuple
        Cell and name of variables that are not what they should be.
    named : dict
        Name -> entry, for what pauses have named as not carried.
    """

    outputs: list[tuple[int, Any, Any]] = field(default_factory=list)
    missing: list[tuple[int, str]] = field(default_factory=list)
    changed: list[tuple[int, str]] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference but what was named."""
        return not (self.outputs or self.missing or self.changed)


def compare(plain: list[Step], paused: list[Step]) -> Comparison:
    """Compare a run with pauses to one without."""
    found = Comparison()
    assert len(plain) == len(paused)
    for number, (wanted, step) in enumerate(zip(plain, paused, strict=True), 1):
        if wanted.outputs != step.outputs:
            found.outputs.append((number, wanted.outputs, step.outputs))
        if number == len(plain):
            found.named.update(step.not_carried)  # its pause is in what was looked at
        compare_looks(number, wanted.look, step.look, found)
        found.named.update(step.not_carried)
    return found


def compare_looks(
    number: int, wanted: dict[str, Any], there: dict[str, Any], found: Comparison
) -> None:
    """Add the differences between variables after one cell."""
    for part in ("variables", "around", "aliases"):
        for name in sorted(wanted[part].keys() | there[part].keys()):
            if wanted[part].get(name) == there[part].get(name):
                continue
            if name not in there[part] and name in wanted[part] and part == "variables":
                if name not in found.named:
                    found.missing.append((number, name))
            elif part != "aliases" or found.named.keys().isdisjoint((name, wanted[part].get(name))):
                found.changed.append((number, name))
