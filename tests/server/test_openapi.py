"""The description and the server say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from jupyter_remote_kernels.jupyter import problems, routes
from jupyter_remote_kernels.jupyter.handlers import UnknownHandler
from tests.server.api import BASE, make_validator, read_description

METHODS = ("get", "post", "put", "patch", "delete")
# Used by schemas, or the answer to everything that is described nowhere.
UNDESCRIBED = {UnknownHandler}


def implemented_routes():
    """Return ``(path pattern, method)`` of everything that our handlers implement."""
    found = set()
    for pattern, handler in routes.make_handlers():
        if handler in UNDESCRIBED:
            continue
        path = pattern.removeprefix(BASE).replace("([^/]+)", "{}").replace("\\", "")
        methods = [name for name in METHODS if name in vars(handler)]
        assert methods, handler
        found |= {(path, name) for name in methods}
    return found


def described_routes():
    return {
        (re.sub(r"\{\w+\}", "{}", path), name)
        for path, item in read_description()["paths"].items()
        for name in METHODS
        if name in item
    }


def test_every_route_is_described_and_every_described_route_exists():
    assert implemented_routes() == described_routes()


def test_every_schema_is_sound_and_used():
    description = read_description()
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        Draft202012Validator.check_schema(schema)
        make_validator(f"/components/schemas/{name}").is_valid({})  # all references resolve
    used = set(re.findall(r"#/components/schemas/(\w+)", repr(description)))
    assert used == set(schemas)


def test_operation_ids_are_unique():
    items = [item for path in read_description()["paths"].values() for item in path.values()]
    ids = [item["operationId"] for item in items if isinstance(item, dict)]
    assert len(ids) == len(set(ids)) == len(described_routes())


@pytest.mark.parametrize("kind", problems.HTTP_STATUS, ids=lambda kind: kind.__name__)
def test_every_error_is_a_described_problem(kind):
    problem = problems.describe_problem(kind("a message", hint="a hint", detail="secret"))
    make_validator("/components/schemas/Problem").validate(problem)
    assert "secret" not in str(problem)
    assert problem["status"] == problems.HTTP_STATUS[kind]


def test_page_for_people_names_every_route():
    page = (Path(__file__).parents[2] / "docs" / "developers" / "rest.md").read_text()
    table = page[: page.index("## Errors")]
    for path, method in described_routes():
        if path != "/openapi.json":
            shown = re.escape(path).replace(re.escape("{}"), r"\{\w+\}")
            assert re.search(rf"{method.upper()} `{shown}`", table), (method, path)


async def test_description_is_served(api):
    reply = await api("GET", "/openapi.json")
    assert reply.status == 200
    assert reply.body == read_description()
