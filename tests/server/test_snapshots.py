"""Snapshots over REST: taken, listed, named, deleted, and begun with."""

from __future__ import annotations

import pytest

from tests.server.test_pause import follow, pause, phase

__all__ = ["follow", "pause", "phase"]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def take(api, follow):
    async def taken(runtime_id, **fields: str):
        operation = await follow(await api("POST", f"/runtimes/{runtime_id}/snapshots", fields))
        assert operation["error"] is None, operation["error"]
        return operation["result"]["snapshot_id"]

    return taken


@pytest.fixture
def begin_with(api, events):
    """Launch from a snapshot and wait until the kernel has the state."""

    async def launched(path, body):
        reply = await api("POST", path, body)
        assert reply.status == 202, reply
        operation = reply.body["operation"]
        while True:
            event = await events.until(action="operation", operation_id=operation)
            if event["operation_state"] != "running":
                break
        outcome = (await api("GET", f"/operations/{operation}")).body
        return reply.body["id"], outcome

    return launched


async def test_taken_while_the_kernel_goes_on_and_begun_with_elsewhere(
    api, launch, take, begin_with, open_browser, phase
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("x = [1, 2]\nfile = open('/dev/null')")
    snapshot_id = await take(runtime_id, name="before the change", description="two numbers")
    assert await phase(runtime_id) == "running"
    await browser.execute("x.append(3)")

    other_id, outcome = await begin_with(f"/snapshots/{snapshot_id}/runtimes", {"name": "fork"})
    assert outcome["state"] == "succeeded", outcome
    assert other_id != runtime_id
    other = await open_browser(other_id)
    assert (await other.execute("print(x)")).text == "[1, 2]\n"
    assert (await browser.execute("print(x)")).text == "[1, 2, 3]\n"
    assert (await api("GET", f"/runtimes/{other_id}")).body["snapshot_id"] is None

    third_id, outcome = await begin_with(
        "/runtimes", {"environment": "python", "snapshot": snapshot_id}
    )
    third = await open_browser(third_id)
    assert (await third.execute("print(x)")).text == "[1, 2]\n"


async def test_listed_named_and_deleted(api, launch, take, events):
    runtime_id = await launch()
    first = await take(runtime_id)
    assert ("snapshots", runtime_id) in [(e["action"], e["runtime_id"]) for e in events.seen]
    second = await take(runtime_id, name="second")
    found = (await api("GET", "/snapshots")).body["snapshots"]
    assert [(item["id"], item["name"]) for item in found] == [(second, "second"), (first, None)]
    assert {item["runtime_id"] for item in found} == {runtime_id}
    assert {item["environment"] for item in found} == {"python"}
    renamed = await api("PATCH", f"/snapshots/{first}", {"name": "first", "description": "d"})
    assert (renamed.body["name"], renamed.body["description"]) == ("first", "d")
    await events.until(action="snapshots", runtime_id="")
    assert (await api("GET", f"/snapshots/{first}")).body == renamed.body
    for description, expected in ((None, "d"), ("", None)):
        label = {"name": "first", "description": description}
        assert (await api("PATCH", f"/snapshots/{first}", label)).body["description"] == expected
    assert (await api("DELETE", f"/snapshots/{second}")).status == 204
    assert [item["id"] for item in (await api("GET", "/snapshots")).body["snapshots"]] == [first]
    assert (await api("GET", f"/snapshots/{second}")).reason == "snapshot_not_found"
    assert (await api("DELETE", f"/snapshots/{second}")).reason == "snapshot_not_found"
    assert (await api("GET", "/snapshots/..")).reason == "snapshot_not_found"


async def test_what_a_paused_runtime_waits_for_is_not_deleted(api, launch, pause, open_browser):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("x = 1")
    snapshot_id = (await pause(runtime_id))["snapshot_id"]
    (listed,) = (await api("GET", "/snapshots")).body["snapshots"]
    assert (listed["id"], listed["automatic"]) == (snapshot_id, True)
    assert (await api("DELETE", f"/snapshots/{snapshot_id}")).reason == "snapshot_in_use"
    assert (await browser.execute("print(x)")).text == "1\n"
    assert (await api("DELETE", f"/snapshots/{snapshot_id}")).status == 204


async def test_automatic_ones_do_not_pile_up(api, launch, pause, open_browser):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    for number in range(4):
        await browser.execute(f"x = {number}")
        await pause(runtime_id)
        assert (await browser.execute("print(x)")).text == f"{number}\n"
    assert len((await api("GET", "/snapshots")).body["snapshots"]) <= 3


async def test_nothing_is_launched_from_what_is_not_there(api, launch, take, jp_data_dir):
    body = {"environment": "python", "snapshot": "0" * 32}
    assert (await api("POST", "/runtimes", body)).reason == "snapshot_not_found"
    path = f"/snapshots/{'0' * 32}/runtimes"
    assert (await api("POST", path, {})).reason == "snapshot_not_found"
    runtime_id = await launch()
    snapshot_id = await take(runtime_id)
    (document,) = (jp_data_dir / "remote_kernels" / "snapshots").rglob("*.json")
    document.write_bytes(document.read_bytes()[:-40])
    body = {"environment": "python", "snapshot": snapshot_id}
    assert (await api("POST", "/runtimes", body)).reason == "snapshot_damaged"
    (listed,) = (await api("GET", "/snapshots")).body["snapshots"]
    assert listed["problem"] == "snapshot_damaged"
    assert len((await api("GET", "/runtimes")).body["runtimes"]) == 1
    assert (await api("DELETE", f"/snapshots/{snapshot_id}")).status == 204


async def test_a_state_that_cannot_be_put_back_fails_the_launch(
    api, launch, take, begin_with, open_browser, jp_data_dir
):
    runtime_id = await launch()
    browser = await open_browser(runtime_id)
    await browser.execute("import os; x = os.urandom(3_000_000)")
    snapshot_id = await take(runtime_id)
    for pack in (jp_data_dir / "remote_kernels" / "snapshots").rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(content)
    failed_id, outcome = await begin_with(f"/snapshots/{snapshot_id}/runtimes", {})
    if outcome["state"] == "failed":
        # The store found it; else the kernel has, and says which variable is lost.
        assert outcome["error"]["reason"] == "snapshot_damaged"
        runtime = (await api("GET", f"/runtimes/{failed_id}")).body
        assert runtime["phase"] == "failed"
        assert runtime["exit"]["reason"] == "snapshot_damaged"
    else:
        other = await open_browser(failed_id)
        assert (await other.execute("print(x)")).reply["ename"] == "NameError"
