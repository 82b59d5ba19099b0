"""A thousand random values: after a pause and a resume of their runtime not one of them differs."""

from __future__ import annotations

import json

import pytest

from tests.contract.state_values import DIFFERENT, SAME, SPREAD, VALUES, write_values

pytestmark = pytest.mark.timeout(180)


async def test_a_thousand_values(api, launch, open_browser, events, tmp_path):
    values, read = write_values(tmp_path / "values")
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute(read + SPREAD)
    reply = await api("POST", f"/runtimes/{runtime_id}/pause", {})
    operation = reply.body
    while operation["state"] == "running":
        await events.until(action="operation", operation_id=operation["id"])
        operation = (await api("GET", f"/operations/{operation['id']}")).body
    assert operation["error"] is None
    assert operation["result"]["not_carried"] == []
    assert (await api("GET", f"/runtimes/{runtime_id}")).body["phase"] == "paused"
    # The cell resumes it.
    outcome = await browser.execute(f"{SAME}{read}import json; print(json.dumps({DIFFERENT}))")
    assert outcome.reply["status"] == "ok", outcome.reply
    different = json.loads(outcome.text)
    assert len(values) > VALUES
    assert [(number, values[number]) for number in different] == []
