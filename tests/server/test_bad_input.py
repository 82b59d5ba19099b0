"""Bad input to every route: a typed problem, and nothing has changed.

``Api`` holds every refusal to the description of problems, so the tests look at the reason and
at what is there afterwards.
"""

from __future__ import annotations

import json
import re
import socket

import pytest
from jupyter_server.auth import Authorizer

from tests.server.api import BASE, read_description

UNKNOWN = "00000000-0000-0000-0000-000000000000"
# Ids that mean something to a file system, a database, a terminal or a parser.
STRANGE_IDS = [
    "..",
    "%2e%2e",
    "..%2F..%2Fetc%2Fpasswd",
    "..%5C..%5Cwindows",
    "a%00b",
    "%1b[31m",
    "%0d%0aSet-Cookie:%20a=b",
    "'%20OR%20'1'='1",
    "%F0%9F%99%82",
    "a" * 4000,
    "null",
    "{id}",
]
NOT_OBJECTS = [b"[]", b'"text"', b"1", b"null", b"true"]
NOT_JSON = [
    b"{",
    b"{'a': 1}",
    b"\xff\xfe\x00",
    b'{"name": "\xff"}',
    b"[" * 100_000,
    b'{"tag": ' + b"9" * 10_000,
]
BAD_TEXTS = ["", "   ", "x" * 201, "a\x00b", "a\nb", "a\x7fb", "a\x85b", "a\u2028b", "\ud800"]
WRONG_TYPES = [1, 1.5, True, [], {}, [["x"]]]


def routes():
    """Return every described ``(method, path)``."""
    return [
        (method.upper(), path)
        for path, item in read_description()["paths"].items()
        for method in item
        if method != "parameters"
    ]


async def look(api, plane):
    """Return everything a request could have changed."""
    records = await plane.run(plane.services.registry.list())
    kernels = (await api.fetch("GET", "/api/kernels")).body
    return {
        "records": [(r.id, r.name, r.tag, r.phase, r.target, r.command) for r in records],
        "kernels": [(k["id"], k["name"]) for k in kernels],
        "sessions": (await api.fetch("GET", "/api/sessions")).body,
        "operations": (await api("GET", "/operations")).body,
        "environments": (await api("GET", "/environments")).body,
    }


@pytest.fixture
def unchanged(api, plane):
    """Remember how things are; what is returned checks that they still are so."""

    async def remember():
        before = await look(api, plane)

        async def check():
            assert await look(api, plane) == before

        return check

    return remember


async def test_bodies_that_are_no_json_object(api, launch, unchanged):
    runtime = f"/runtimes/{await launch()}"
    check = await unchanged()
    targets = [("POST", "/runtimes"), ("PATCH", runtime)]
    targets += [("POST", f"{runtime}/interrupt"), ("POST", f"{runtime}/restart")]
    for method, path in targets:
        for raw in NOT_JSON:
            reply = await api(method, path, raw=raw)
            assert (reply.status, reply.reason) == (400, "not_json"), (method, path, raw[:20])
        for raw in NOT_OBJECTS:
            reply = await api(method, path, raw=raw)
            assert (reply.status, reply.reason) == (400, "not_an_object"), (method, path, raw)
        reply = await api(method, path, {"environmnet": "python"})
        assert (reply.status, reply.reason) == (400, "unknown_key"), (method, path)
        assert "environmnet" in reply.body["detail"]
    await check()


async def test_wrong_values_of_every_key(api, launch, unchanged):
    runtime = f"/runtimes/{await launch()}"
    check = await unchanged()
    good = {"environment": "python"}
    for value in [*WRONG_TYPES, *BAD_TEXTS]:
        bodies = [("POST", "/runtimes", {"environment": value})]
        bodies += [("POST", "/runtimes", {**good, key: value}) for key in ("name", "tag")]
        bodies += [("PATCH", runtime, {key: value}) for key in ("name", "tag")]
        for method, path, body in bodies:
            reply = await api(method, path, body)
            assert (reply.status, reply.reason) == (400, "invalid_input"), (method, body)
    for body in ({}, {"environment": None}):
        assert (await api("POST", "/runtimes", body)).reason == "missing_key"
    assert (await api("PATCH", runtime, {"name": None})).reason == "missing_key"
    for value in [*WRONG_TYPES, "", "abc", "x" * 65, "-abc", "abc-", "a b c", "ábcd", "abcd\n"]:
        reply = await api("POST", "/runtimes", {**good, "client_token": value})
        assert (reply.status, reply.reason) == (400, "bad_client_token"), value
    for value in [*WRONG_TYPES, "a\x00b", "x" * 4097, "../up", "a/../../b", "\ud800"]:
        reply = await api("POST", "/runtimes", {**good, "path": value})
        assert (reply.status, reply.reason) == (400, "invalid_input"), value
    await check()


async def test_unknown_names(api, launch, unchanged):
    await launch()
    check = await unchanged()
    for name in ["nothing", "remote-python", "../python", "PYTHON", "python\u200b"]:
        reply = await api("POST", "/runtimes", {"environment": name})
        assert (reply.status, reply.reason) == (404, "unknown_environment"), name
    reasons = {
        "environments": "unknown_environment",
        "operations": "unknown_operation",
        "runtimes": "unknown_runtime",
        "kernels": "unknown_kernel",
        "snapshots": "snapshot_not_found",
        "volumes": "unknown_volume",
    }
    for method, path in routes():
        key = (re.findall(r"\{\w+\}", path) or [None])[0]
        if key is None or method == "PUT":  # which makes what is not there
            continue
        reason = reasons[path.split("/")[1]]
        reply = await api(method, path.replace(key, UNKNOWN))
        assert (reply.status, reply.reason) == (404, reason), (method, path)
    await check()


async def test_strange_ids(api, unchanged):
    check = await unchanged()
    for method, path in routes():
        for strange in STRANGE_IDS if "{" in path and method != "PUT" else []:
            reply = await api(method, path.replace("{id}", strange).replace("{name}", strange))
            assert reply.status == 404, (method, path, strange[:20])
            assert "a=b" not in reply.headers.get_list("Set-Cookie")
    await check()


async def test_ids_that_are_no_text(api, unchanged):
    check = await unchanged()
    for method, path in routes():
        if "{" in path:
            reply = await api(method, re.sub(r"\{\w+\}", "%FF%FE", path))
            assert (reply.status, reply.reason) == (400, "bad_request"), (method, path)
            assert "%s" not in reply.body["detail"]
    await check()


async def test_numbers_of_the_log(api, launch, unchanged):
    logs = f"/runtimes/{await launch()}/logs"
    check = await unchanged()
    values = ["-1", "1.5", "x", "", "1e3", "0x10", "%C2%B2", "%D9%A1", "1" * 30, "NaN", "9" * 18]
    for key in ("offset", "limit"):
        for value in values:
            reply = await api("GET", logs, query=f"?{key}={value}")
            assert (reply.status, reply.reason) == (400, "invalid_input"), (key, value)
    assert (await api("GET", logs, query="?offset=%FF")).status == 400
    await check()


async def test_large_bodies(api, launch, unchanged):
    runtime = f"/runtimes/{await launch()}"
    check = await unchanged()
    raw = json.dumps({"environment": "python", "name": "x" * 2**20}).encode()
    for method, path in routes():
        # A snapshot's file may be as large as it likes.
        if method in ("POST", "PATCH") and path not in ("/operations/{id}", "/snapshots"):
            reply = await api(method, path.replace("/runtimes/{id}", runtime), raw=raw)
            assert (reply.status, reply.reason) == (413, "body_too_large"), (method, path)
    await check()


async def test_body_beyond_what_the_server_reads(
    api, unchanged, jp_http_port, jp_base_url, jp_auth_header, jp_asyncio_loop
):
    """The HTTP server under us refuses these before any handler is asked."""
    check = await unchanged()
    with socket.socket() as raw:
        raw.setblocking(False)
        await jp_asyncio_loop.sock_connect(raw, ("127.0.0.1", jp_http_port))
        head = (
            f"POST {jp_base_url}api/remote-kernels/runtimes HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: {jp_auth_header['Authorization']}\r\n"
            f"Content-Length: {2**40}\r\n\r\n"
        )
        await jp_asyncio_loop.sock_sendall(raw, head.encode())
        answer = await jp_asyncio_loop.sock_recv(raw, 4096)
    assert re.match(rb"HTTP/1.1 4\d\d ", answer)
    await check()


async def test_other_methods_and_unknown_routes(api, unchanged):
    check = await unchanged()
    described = {path for _, path in routes()}
    for path in described:
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - {
            method for method, known in routes() if known == path
        }:
            reply = await api(method, re.sub(r"\{\w+\}", UNKNOWN, path), {})
            assert (reply.status, reply.reason) == (405, "method_not_allowed"), (method, path)
    for path in ("", "/", "/nothing", "/runtimes/", f"/runtimes/{UNKNOWN}/nothing", "/runtimes//"):
        for method in ("GET", "POST", "DELETE"):
            reply = await api(method, path, {})
            assert (reply.status, reply.reason) == (404, "unknown_route"), (method, path)
    await check()


class TestWithoutLogin:
    async def test_no_token_or_a_wrong_one(self, api, launch, unchanged):
        runtime_id = await launch()
        check = await unchanged()
        for headers in ({}, {"Authorization": "token wrong"}, {"Authorization": "Bearer"}):
            for method, path in routes():
                path = path.replace("/runtimes/{id}", f"/runtimes/{runtime_id}")
                reply = await api(method, path, {}, headers=headers)
                assert (reply.status, reply.reason) == (403, "forbidden"), (method, path)
                assert runtime_id not in reply.body["detail"]
            assert (await api("GET", "/nothing", headers=headers)).status == 403
        await check()

    async def test_cookie_without_xsrf(self, api, launch, unchanged, jp_serverapp):
        runtime_id = await launch()
        check = await unchanged()
        token = jp_serverapp.identity_provider.token
        page = await api.fetch("GET", f"/api/status?token={token}", headers={})
        cookies = [item.split(";")[0] for item in page.headers.get_list("Set-Cookie")]
        login = "; ".join(item for item in cookies if not item.startswith("_xsrf"))
        assert login
        # The cookie alone is enough to read, and to write only with Jupyter's XSRF token.
        assert (await api("GET", "/runtimes", headers={"Cookie": login})).status == 200
        for method, path in routes():
            if method != "GET":
                path = path.replace("/runtimes/{id}", f"/runtimes/{runtime_id}")
                reply = await api(method, path, {}, headers={"Cookie": login})
                assert reply.status == 403, (method, path)
                assert "_xsrf" in reply.body["detail"]
        await check()

    async def test_other_origin(self, api, unchanged, jp_auth_header):
        check = await unchanged()
        headers = {**jp_auth_header, "Origin": "https://evil.example", "Host": "localhost"}
        del headers["Authorization"]
        reply = await api("GET", "/runtimes", headers=headers)
        assert reply.status in (403, 404)
        await check()


class Guard(Authorizer):
    """Lets one kind of action through, and remembers what it was asked."""

    allowed: set[str] = {"read", "write"}
    asked: list[tuple[str, str]] = []

    def is_authorized(self, handler, user, action, resource):
        if BASE in handler.request.path:
            self.asked.append((action, resource))
            return action in self.allowed
        return True


class TestAuthorization:
    @pytest.fixture
    def server_settings(self):
        Guard.allowed, Guard.asked = {"read", "write"}, []
        return {"ServerApp": {"authorizer_class": Guard}}

    async def test_another_user_may_do_nothing(self, api, launch, unchanged):
        runtime_id = await launch()
        check = await unchanged()
        Guard.allowed = set()
        for method, path in routes():
            Guard.asked.clear()
            path = path.replace("/runtimes/{id}", f"/runtimes/{runtime_id}")
            reply = await api(method, path, {"environment": "python"})
            assert (reply.status, reply.reason) == (403, "forbidden"), (method, path)
            action = "read" if method == "GET" else "write"
            assert Guard.asked == [(action, "remote_kernels")], (method, path)
        Guard.allowed = {"read", "write"}
        await check()

    async def test_a_reader_may_only_read(self, api, launch, unchanged):
        runtime_id = await launch()
        check = await unchanged()
        Guard.allowed = {"read"}
        for method, path in routes():
            path = path.replace("/runtimes/{id}", f"/runtimes/{runtime_id}")
            path = path.replace("{name}", "python")
            reply = await api(method, path)
            if method != "GET":
                assert reply.status == 403, (method, path)
            elif "{" not in path:
                assert reply.status == 200, (method, path)
        Guard.allowed = {"read", "write"}
        await check()
