"""Five notebooks as people write them: paused after every cell they do the same as without."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.server.notebook_runs import (
    PausedAfterEveryCell,
    compare,
    prepare,
    read_cells,
    run_cells,
)

pytestmark = pytest.mark.timeout(240)

FOLDER = Path(__file__).parent / "notebooks"
# Name of the notebook -> what cannot be carried, with a part of the reason that is told.
REFUSED = {
    "data_cleaning": {},
    "model": {},
    "plots": {},
    "simulation": {"running": "middle of a run"},
    "statistics": {"cursor": "a query"},
}


def test_each_notebook_is_there():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == set(REFUSED)


@pytest.mark.parametrize("name", REFUSED)
async def test_paused_after_every_cell(name, api, launch, open_browser, tmp_path):
    cells = read_cells(FOLDER / f"{name}.ipynb")
    plain_id, paused_id = await launch(), await launch()
    plain_browser, paused_browser = await open_browser(plain_id), await open_browser(paused_id)
    for browser, folder in ((plain_browser, "plain"), (paused_browser, "paused")):
        (tmp_path / folder / "home").mkdir(parents=True)
        await prepare(browser, str(tmp_path / folder / "home"))
    plain, paused = await asyncio.gather(
        run_cells(plain_browser, cells),
        run_cells(paused_browser, cells, PausedAfterEveryCell(api, paused_id)),
    )
    comparison = compare(plain, paused)
    assert comparison.missing == []
    assert comparison.changed == []
    assert comparison.outputs == []
    told = {name: entry["reason"] for name, entry in comparison.named.items()}
    assert told.keys() == REFUSED[name].keys()
    for variable, reason in REFUSED[name].items():
        assert reason in told[variable]
