"""Variables from kernel to kernel over REST: runtimes and ordinary kernels, any size."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from itertools import pairwise

import pytest

from tests.server.test_pause import follow

__all__ = ["follow"]

pytestmark = pytest.mark.timeout(120)

MAKE = """
import hashlib, math
import numpy as np
first = [1, 2]
second = first
def count(): return len(first) + math.floor(0.5)
class Point:
    def __init__(self, x): self.x = x
point = Point(first)
walk = (each for each in first)
"""
# Says that it has begun in a file, because its kernel has no time to say anything.
SLOW = """
def wait(name):
    import pathlib, time
    pathlib.Path({folder!r}, name).touch()
    time.sleep(60)
class SlowToRead:
    def __reduce__(self):
        wait("reading")
class SlowToWrite:
    def __reduce__(self):
        return wait, ("writing",)
before, slow_to_read, slow_to_write = [1], SlowToRead(), SlowToWrite()
"""
CHECK = """
assert first is second is point.x and count() == 2
first.append(3)
print(count())
"""


@pytest.fixture
def start_local(jp_fetch, open_browser):
    """Start an ordinary kernel of the server and open a page on it."""

    async def start():
        reply = await jp_fetch(
            "api", "kernels", method="POST", body=json.dumps({"name": "python3"})
        )
        kernel_id = json.loads(reply.body)["id"]
        return kernel_id, await open_browser(kernel_id)

    return start


@pytest.fixture
def start_runtime(launch, open_browser):
    async def start():
        runtime_id = await launch()
        return runtime_id, await open_browser(runtime_id)

    return start


@pytest.fixture
def begin(api):
    async def begun(source, target, **fields):
        reply = await api("POST", "/transfers", {"source": source, "target": target, **fields})
        assert reply.status == 202, reply
        return reply

    return begun


@pytest.fixture
def transfer(begin, follow):
    async def transferred(source, target, **fields):
        operation = await follow(await begin(source, target, **fields))
        assert operation["error"] is None, operation["error"]
        assert (operation["runtime_id"], operation["source_id"]) == (target, source)
        return operation["result"]

    return transferred


async def say(browser, code):
    """Run a cell and return what it has printed."""
    outcome = await browser.execute(code)
    assert outcome.reply["status"] == "ok", outcome.reply
    return outcome.text


async def test_all_variables_between_all_kinds_of_kernels(
    start_local, start_runtime, transfer, api
):
    kernels = [await start_local(), await start_runtime(), await start_local()]
    await say(kernels[0][1], MAKE)
    for (source, _), (target, browser) in pairwise(kernels):
        result = await transfer(source, target)
        assert {item["name"] for item in result["transferred"]} >= {"first", "count", "Point"}
        if source == kernels[0][0]:
            (walk,) = result["not_carried"]
            assert (walk["name"], walk["type"]) == ("walk", "generator")
            assert walk["reason"]
        assert result["lost"] == []
        assert result["renamed"] == {}
        assert await say(browser, CHECK) == "3\n"
        await say(browser, "first.pop()")
        found = (await api("GET", f"/kernels/{target}/variables")).body["variables"]
        assert {"name": "first", "preview": "[1, 2]"}.items() <= {
            key: value for item in found if item["name"] == "first" for key, value in item.items()
        }.items()
    # Nothing of ours is left in a namespace, a history, or a count.
    names = await say(kernels[0][1], "print([n for n in dir() if 'jrk' in n], len(In))")
    assert names == "[] 3\n"


async def test_names_that_are_taken(start_local, start_runtime, begin, follow, transfer):
    source, page = await start_runtime()
    target, browser = await start_local()
    await say(page, "import json\nimport math as np\nx, y, z = 1, 2, 3\nlost = (i for i in ())")
    taken = "import json\nimport cmath as np\nx, y, lost = 'x', 'y', 'l'"
    await say(browser, taken)
    operation = await follow(await begin(source, target))
    assert (operation["state"], operation["error"]["reason"]) == ("failed", "name_conflict")
    # A module that both have is in nobody's way, nor is what cannot be carried at all.
    assert operation["error"]["detail"].endswith("already: np, x, y")
    assert await say(browser, "print(x, y, lost, 'z' in dir(), np.__name__)") == (
        "x y l False cmath\n"
    )

    result = await transfer(source, target, variables=["z", "x"], on_conflict="keep")
    assert (result["kept"], [item["name"] for item in result["transferred"]]) == (["x"], ["z"])
    assert await say(browser, "print(x, y, z)") == "x y 3\n"
    result = await transfer(source, target, variables=["x", "json", "no"], on_conflict="rename")
    assert result["renamed"] == {"x": "x_1"}
    assert result["kept"] == ["json"]
    (missing,) = result["not_carried"]
    assert (missing["name"], missing["reason"]) == ("no", "there is no such variable")
    assert await say(browser, "print(x, x_1)") == "x 1\n"
    result = await transfer(source, target, on_conflict="replace")
    assert result["renamed"] == {}
    assert await say(browser, "print(x, y, lost, np.__name__)") == "1 2 l math\n"


async def test_large_ones_arrive_whole_and_no_page_hears_of_them(
    start_local, start_runtime, transfer, events
):
    kernels = [await start_runtime(), await start_local(), await start_runtime()]
    heard = [listen(browser) for _, browser in kernels]
    digest = "import hashlib\nprint(hashlib.sha256(x).hexdigest(), len(x))"
    for size in (8 << 20, 100 << 20):
        code = f"import numpy as np\nx = np.random.default_rng(0).bytes({size})"
        await say(kernels[0][1], f"{code}\nx = np.frombuffer(x, dtype='u1')")
        expected = await say(kernels[0][1], digest)
        for (source, _), (target, _) in pairwise(kernels):
            result = await transfer(source, target, variables=["x"], on_conflict="replace")
            assert size <= result["bytes"] < size * 1.01
            assert result["transferred"][0]["size_bytes"] >= size
        for _, browser in kernels[1:]:
            assert await say(browser, digest) == expected
    told = [event for event in events.seen if event["action"] == "progress"]
    assert {event["runtime_id"] for event in told} == {kernel_id for kernel_id, _ in kernels[1:]}
    # The states of the kernel are all that came.
    assert all(sum(sizes) < 100_000 for sizes in heard), [sum(sizes) for sizes in heard]


def listen(browser):
    """Note the sizes of all messages that a page gets from now on."""
    sizes = []
    read = browser.socket.read_message

    async def reading():
        message = await read()
        sizes.append(len(message or b""))
        return message

    browser.socket.read_message = reading
    return sizes


async def test_busy_kernels_are_waited_for_and_dead_ones_are_not(
    start_local, start_runtime, begin, follow, jp_serverapp, tmp_path
):
    source, page = await start_local()
    target, browser = await start_runtime()
    await say(page, "x = [1, 2]")
    cell = await browser.begin("y = input()")
    await browser.until(lambda message: message["msg_type"] == "input_request")
    reply = await begin(source, target)
    assert reply.body["step"] == "waiting for the kernels"
    # The source is not held up by a busy target.
    assert await say(page, "print(x)") == "[1, 2]\n"
    await browser.send("stdin", "input_reply", {"value": ""})
    assert (await browser.finish(cell)).reply["status"] == "ok"
    operation = await follow(reply)
    assert operation["error"] is None, operation["error"]
    assert await say(browser, "print(x)") == "[1, 2]\n"

    await say(page, SLOW.format(folder=str(tmp_path)))
    reply = await begin(source, target, variables=["slow_to_read"])
    await until_there(tmp_path / "reading")
    provisioner = jp_serverapp.kernel_manager.get_kernel(source).provisioner
    os.kill(provisioner.pid, signal.SIGKILL)
    operation = await follow(reply)
    assert (operation["state"], operation["error"]["reason"]) == ("failed", "kernel_died")
    assert await say(browser, "print(x, 'slow_to_read' in dir())") == "[1, 2] False\n"


async def test_cancelled(start_local, start_runtime, begin, api, tmp_path, transfer):
    local, runtime = await start_local(), await start_runtime()
    for moment, (source, page), (target, browser) in [
        ("reading", local, runtime),
        ("writing", runtime, local),
        ("reading", runtime, local),
        ("writing", local, runtime),
    ]:
        (tmp_path / moment).unlink(missing_ok=True)
        await say(browser, "%reset -f")
        await say(page, SLOW.format(folder=str(tmp_path)))
        await say(browser, "before = 'mine'")
        name = "slow_to_read" if moment == "reading" else "slow_to_write"
        names = ["before", "wait", name]
        reply = await begin(source, target, variables=names, on_conflict="replace")
        await until_there(tmp_path / moment)
        cancelled = await api("DELETE", f"/operations/{reply.body['id']}")
        assert cancelled.body["state"] == "cancelled"
        # Both are free again at once, and the target is as it was.
        assert await say(browser, "print(before, 'wait' in dir())") == "mine False\n"
        assert await say(page, "print(before)") == "[1]\n"
        result = await transfer(source, target, variables=["before"], on_conflict="replace")
        assert [item["name"] for item in result["transferred"]] == ["before"]


async def until_there(path):
    """Wait until a kernel has made a file."""
    while not path.exists():  # noqa: ASYNC110 - it is another process that makes it
        await asyncio.sleep(0.02)


async def test_refused(api, start_local, launch):
    source, _ = await start_local()
    fields = {"source": source, "target": source}
    assert (await api("POST", "/transfers", fields)).reason == "same_kernel"
    assert (await api("POST", "/transfers", {**fields, "target": "no"})).reason == "unknown_kernel"
    assert (await api("POST", "/transfers", {"source": source})).reason == "missing_key"
    assert (await api("POST", "/transfers")).reason == "missing_body"
    other = {**fields, "target": "no", "variables": []}
    assert (await api("POST", "/transfers", other)).status == 400
    other = {**fields, "target": "no", "on_conflict": "merge"}
    assert (await api("POST", "/transfers", other)).status == 400
    assert (await api("GET", "/kernels/no/variables")).reason == "unknown_kernel"


class TestEncryption:
    @pytest.fixture
    def server_settings(self):
        return {"KernelManager": {"transport_encryption": "required"}}

    async def test_ordinary_kernel_with_encrypted_sockets(self, api, start_local):
        kernel_id, browser = await start_local()
        await say(browser, "x = [1, 2]")
        reply = await api("GET", f"/kernels/{kernel_id}/variables")
        assert [item["name"] for item in reply.body["variables"]] == ["x"]
