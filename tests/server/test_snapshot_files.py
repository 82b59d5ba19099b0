"""Snapshots as files, and what of them goes into a kernel that lives."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from tornado.httpclient import HTTPClientError
from tornado.iostream import StreamClosedError

from jupyter_remote_kernels.snapshots.catalogue import SnapshotCatalogue
from jupyter_remote_kernels.snapshots.file_store import FileStore
from jupyter_remote_kernels.snapshots.key import SnapshotKey
from tests.server.test_pause import follow
from tests.server.test_snapshots import begin_with, take

__all__ = ["begin_with", "follow", "take"]

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def state(jp_data_dir):
    """The directory of the server's registry, snapshots and key."""
    return jp_data_dir / "remote_kernels"


@pytest.fixture
def begin(launch, open_browser, take):
    """Start a kernel with a few variables, and take a snapshot of it; returns both ids."""

    async def begun():
        runtime_id = await launch()
        browser = await open_browser(runtime_id)
        code = "import os; x = [1, 2]; y = x; text = 'ä'; big = os.urandom(5_000_000)\n"
        await browser.execute(code + "file = open('/dev/null')")
        return runtime_id, await take(runtime_id, name="a name/with: ü")

    return begun


@pytest.fixture
def restore(api, follow):
    async def restored(snapshot_id, **body):
        return await follow(await api("POST", f"/snapshots/{snapshot_id}/restore", body))

    return restored


def damage(state, at=0.5):
    """Flip one byte of the largest pack."""
    pack = max((state / "snapshots").rglob("*.pack"), key=lambda path: path.stat().st_size)
    content = bytearray(pack.read_bytes())
    content[int(len(content) * at)] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)


async def upload(api, content, query=""):
    return await api("POST", "/snapshots", raw=content, query=query)


async def test_downloaded_and_uploaded(api, begin, begin_with, open_browser, events):
    _, snapshot_id = await begin()
    reply = await api("GET", f"/snapshots/{snapshot_id}/content")
    disposition = reply.headers["Content-Disposition"]
    assert disposition == "attachment; filename*=UTF-8''a%20name_with_%20%C3%BC.jrksnap"
    assert len(reply.raw) > 5_000_000
    told = await upload(api, reply.raw)
    assert told.status == 201
    assert told.body["id"] != snapshot_id
    assert told.body["name"] == "a name/with: ü"
    variables = {item["name"]: item for item in told.body["variables"]}
    assert variables["big"]["status"] == "carried"
    assert variables["file"]["status"] == "refused"
    assert variables["file"]["reason"]
    await events.until(action="snapshots", runtime_id="")
    # What has come is a snapshot like any other, also without the first.
    assert (await api("DELETE", f"/snapshots/{snapshot_id}")).status == 204
    other_id, outcome = await begin_with(f"/snapshots/{told.body['id']}/runtimes", {})
    assert outcome["state"] == "succeeded", outcome
    other = await open_browser(other_id)
    assert (await other.execute("print(x, y is x, text, len(big))")).text == (
        "[1, 2] True ä 5000000\n"
    )


async def make_foreign(content, folder):
    """Return the same snapshot as another server would give it out."""

    async def pieces():
        yield content

    catalogue = SnapshotCatalogue(FileStore(folder / "other"), SnapshotKey(b"k" * 32))
    taken = await catalogue.import_(pieces(), trust=True)
    return b"".join([bytes(piece) async for piece in catalogue.export(taken.id)])


async def test_a_foreign_signature_needs_trust(api, begin, tmp_path):
    _, snapshot_id = await begin()
    content = (await api("GET", f"/snapshots/{snapshot_id}/content")).raw
    foreign = await make_foreign(content, tmp_path)
    refused = await upload(api, foreign)
    assert (refused.status, refused.reason) == (409, "snapshot_untrusted")
    assert refused.body["hint"]
    assert len((await api("GET", "/snapshots")).body["snapshots"]) == 1
    taken_in = await upload(api, foreign, "?trust=true")
    assert taken_in.status == 201, taken_in
    # From now on it is this server's own.
    again = (await api("GET", f"/snapshots/{taken_in.body['id']}/content")).raw
    assert (await upload(api, again)).status == 201


BAD_FILES = [
    (lambda content: b"", 422),
    (lambda content: b"no snapshot at all" * 10_000, 400),
    (lambda content: content[:-1], 422),
    (lambda content: content[: len(content) // 2], 422),
    (lambda content: content + b"x", 400),
    (lambda content: content[:3_000_000] + b"damage" + content[3_000_006:], 400),
    (lambda content: content.replace(b'\\"name\\"', b'\\"nane\\"', 1), 422),
]


async def test_a_file_that_is_not_what_was_given_out(api, begin):
    _, snapshot_id = await begin()
    content = (await api("GET", f"/snapshots/{snapshot_id}/content")).raw
    for change, status in BAD_FILES:
        refused = await upload(api, change(content))
        assert refused.status == status, refused
        assert refused.reason
        assert len((await api("GET", "/snapshots")).body["snapshots"]) == 1
    assert (await upload(api, content)).status == 201


async def test_nobody_else_can_take_or_give(api, begin):
    _, snapshot_id = await begin()
    stranger = {"headers": {}}
    path = f"/snapshots/{snapshot_id}/content"
    assert (await api("GET", path, **stranger)).status == 403
    with suppress(HTTPClientError, StreamClosedError):
        assert (await api("POST", "/snapshots", raw=b"x" * 100, **stranger)).status == 403
    assert (await upload(api, b"x", "?trust=1")).status == 400
    assert (await api("GET", "/snapshots/0123/content")).reason == "snapshot_not_found"


async def test_an_upload_that_is_broken_off_leaves_nothing(api, begin, state, jp_http_port):
    _, snapshot_id = await begin()
    content = (await api("GET", f"/snapshots/{snapshot_id}/content")).raw
    before = sorted((state / "snapshots").rglob("*"))
    _, writer = await asyncio.open_connection("localhost", jp_http_port)
    head = [
        f"POST {api.base_url}/api/remote-kernels/snapshots HTTP/1.1",
        "Host: localhost",
        f"Authorization: {api.auth_header['Authorization']}",
        f"Content-Length: {len(content)}",
    ]
    writer.write("\r\n".join([*head, "", ""]).encode() + content[:-100_000])
    await writer.drain()
    while sorted((state / "snapshots").rglob("*")) == before:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)
    writer.close()
    while sorted((state / "snapshots").rglob("*")) != before:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.02)


async def test_damage_is_no_whole_file(api, begin, state):
    _, snapshot_id = await begin()
    damage(state)
    with pytest.raises(Exception, match=r"(?i)closed|reset|body"):
        await api("GET", f"/snapshots/{snapshot_id}/content")
    assert (await api("GET", f"/snapshots/{snapshot_id}")).status == 200


async def test_restored_into_a_kernel_that_goes_on(api, launch, begin, restore, open_browser):
    _, snapshot_id = await begin()
    other_id = await launch()
    other = await open_browser(other_id)
    await other.execute("x = 'mine'; z = 1; import os; here = os.getcwd()")
    refused = await restore(snapshot_id, runtime_id=other_id)
    assert refused["error"]["reason"] == "name_conflict"
    assert "x" in refused["error"]["detail"]
    assert "os" not in refused["error"]["detail"]  # the same module is no conflict
    assert (await other.execute("print(x, 'big' in dir())")).text == "mine False\n"

    kept = (await restore(snapshot_id, runtime_id=other_id, on_conflict="keep"))["result"]
    assert "x" in kept["kept"]
    assert "text" in kept["restored"]
    assert [item["name"] for item in kept["lost"]] == ["file"]
    assert (await other.execute("print(x, y, text, len(big), z)")).text == (
        "mine [1, 2] ä 5000000 1\n"
    )
    named = {"variables": ["x", "y"], "on_conflict": "rename"}
    renamed = (await restore(snapshot_id, runtime_id=other_id, **named))["result"]
    assert renamed["renamed"] == {"x": "x_1", "y": "y_1"}
    assert (await other.execute("print(x, x_1 is y_1)")).text == "mine True\n"
    replaced = (await restore(snapshot_id, runtime_id=other_id, on_conflict="replace"))["result"]
    assert replaced["kept"] == ["os"]
    assert (await other.execute("print(x is y, z, here == os.getcwd(), _ih[1][:5])")).text == (
        "True 1 True x = '\n"
    )

    # An ordinary kernel of the server gets them as well.
    reply = await api.fetch("POST", "/api/kernels", b'{"name": "python3"}')
    ordinary_id = reply.body["id"]
    chosen = await restore(snapshot_id, runtime_id=ordinary_id, variables=["x", "big"])
    assert sorted(chosen["result"]["restored"]) == ["big", "x"]
    ordinary = await open_browser(ordinary_id)
    assert (await ordinary.execute("print(x, len(big), 'y' in dir())")).text == (
        "[1, 2] 5000000 False\n"
    )

    path = f"/snapshots/{snapshot_id}/restore"
    missing = await restore(snapshot_id, runtime_id=other_id, variables=["nothing"])
    assert missing["error"]["reason"] == "no_such_variable"
    assert (await api("POST", path)).status == 400
    assert (await api("POST", path, {"runtime_id": "none"})).reason == "unknown_kernel"
    body = {"runtime_id": other_id, "variables": []}
    assert (await api("POST", path, body)).status == 400
    body = {"runtime_id": other_id, "on_conflict": "guess"}
    assert (await api("POST", path, body)).status == 400


async def test_damage_costs_only_its_variable(api, launch, begin, restore, state, open_browser):
    _, snapshot_id = await begin()
    damage(state)
    other_id = await launch()
    told = (await restore(snapshot_id, runtime_id=other_id))["result"]
    lost = {item["name"]: item["reason"] for item in told["lost"]}
    assert lost["big"] == "Damaged in the snapshot store."
    other = await open_browser(other_id)
    assert (await other.execute("print(x, text, 'big' in dir())")).text == "[1, 2] ä False\n"
