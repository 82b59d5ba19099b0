"""The tests' client of our REST routes: it holds every answer to the OpenAPI description."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from tornado.httpclient import HTTPClientError

import jupyter_remote_kernels.jupyter

BASE = "/api/remote-kernels"
OPENAPI_FILE = Path(jupyter_remote_kernels.jupyter.__file__).parent / "openapi.yaml"
_ABSENT = object()


@cache
def read_description() -> dict[str, Any]:
    """Return the OpenAPI description as it lies in the package."""
    return yaml.safe_load(OPENAPI_FILE.read_text())


@cache
def make_validator(pointer: str) -> Draft202012Validator:
    """Return a validator for one place in the description."""
    resource = Resource(contents=read_description(), specification=DRAFT202012)
    registry = Registry().with_resource("urn:description", resource)
    return Draft202012Validator({"$ref": f"urn:description#{pointer}"}, registry=registry)


def find_template(path: str) -> str | None:
    """Return the described path that a real one belongs to."""
    for template in read_description()["paths"]:
        pattern = re.escape(template).replace(r"\{", "{").replace(r"\}", "}")
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return template
    return None


@dataclass
class Reply:
    """An answer."""

    status: int
    headers: Any
    raw: bytes = field(repr=False)
    body: Any = None

    @property
    def reason(self):
        """The problem's reason code."""
        return self.body["reason"]


def _pointer(*parts: str) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def check_reply(method: str, path: str, reply: Reply) -> None:
    """Compare an answer with the description: status, content type and body."""
    template = find_template(path)
    place = read_description()["paths"].get(template, {}).get(method.lower())
    if reply.status >= 400:
        # Also what is described nowhere is refused in the described way.
        content_type, pointer = "application/problem+json", "/components/schemas/Problem"
    else:
        assert place is not None, f"{method} {path} is not described"
        described = place["responses"]
        assert str(reply.status) in described, f"{method} {path}: {reply.status} not described"
        if "content" not in described[str(reply.status)]:
            assert reply.raw == b"", f"{method} {path}: a body is not described"
            return
        (content_type,) = described[str(reply.status)]["content"]
        pointer = _pointer(
            *("paths", template, method.lower(), "responses", str(reply.status)),
            *("content", content_type, "schema"),
        )
    assert reply.headers["Content-Type"].split(";")[0] == content_type, (method, path, reply.raw)
    if content_type != "application/octet-stream":
        make_validator(pointer).validate(reply.body)
    if reply.status >= 400:
        assert reply.body["status"] == reply.status


def check_request(method: str, path: str, body: Any) -> None:
    """A request that was taken must be one that the description allows."""
    place = read_description()["paths"][find_template(path)][method.lower()]
    request = place.get("requestBody")
    if request is None:
        return
    if "$ref" in request:
        pointer = request["$ref"].removeprefix("#")
    else:
        pointer = _pointer("paths", find_template(path) or "", method.lower(), "requestBody")
    make_validator(pointer + "/content/application~1json/schema").validate(body)


class Api:
    """Calls our routes. The path begins after ``/api/remote-kernels`` and is sent as it is."""

    def __init__(self, client, base_url: str, auth_header: dict[str, str]) -> None:
        self._client = client
        self.base_url = base_url.rstrip("/")
        self.auth_header = auth_header

    async def __call__(
        self, method: str, path: str, body: Any = _ABSENT, *, query: str = "", **options: Any
    ) -> Reply:
        """Send a request; an error is an answer too.

        Options: ``raw`` (a body in bytes), ``headers`` (instead of the token).
        """
        raw = options.get("raw")
        if raw is None:
            raw = None if body is _ABSENT else json.dumps(body).encode()
        reply = await self.fetch(method, BASE + path + query, raw, options.get("headers"))
        check_reply(method, path, reply)
        if reply.status < 400 and raw and options.get("raw") is None:
            check_request(method, path, json.loads(raw))
        return reply

    async def fetch(
        self, method: str, path: str, raw: bytes | None = None, headers: Any = None
    ) -> Reply:
        """Send a request to any route of the server."""
        try:
            response = await self._client.fetch(
                self.base_url + path,
                method=method,
                body=raw,
                headers=self.auth_header if headers is None else headers,
                allow_nonstandard_methods=True,
                request_timeout=50,
                follow_redirects=False,
            )
        except HTTPClientError as error:
            if error.response is None:
                raise
            response = error.response
        body = None
        if "json" in response.headers.get("Content-Type", "") and response.body:
            body = json.loads(response.body)
        return Reply(response.code, response.headers, response.body or b"", body)
