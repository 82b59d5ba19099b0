"""Reading requests: every input is checked here, before anything is done."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BODY_LIMIT_BYTES = 1024 * 1024
_TOKEN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{2,62})[A-Za-z0-9]")
_NAME_LENGTH = 200
_PATH_LENGTH = 4096
_MOST_NAMES = 100_000
# Control characters, halves of a surrogate pair, line and paragraph separators.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a request; an empty body is an empty object.

    Raises
    ------
    InvalidInput
        When it is too large, no JSON or no object.
    """
    if len(body) > BODY_LIMIT_BYTES:
        raise InvalidInput("the request is larger than 1 MiB", reason="body_too_large")
    if not body:
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("the body is not JSON", reason="not_json") from None
    if not isinstance(value, dict):
        raise InvalidInput("the body must be a JSON object", reason="not_an_object")
    return value


def check_present(body: bytes) -> None:
    """Refuse a request without a body, where it would mean nothing.

    Raises
    ------
    InvalidInput
        When there is none.
    """
    if not body:
        raise InvalidInput("the body is missing", reason="missing_body")


def check_keys(body: Mapping[str, Any], allowed: set[str]) -> None:
    """Refuse keys that mean nothing here: a slip must not be ignored silently."""
    unknown = sorted(set(body) - allowed)
    if unknown:
        raise InvalidInput(
            f"unknown key {unknown[0]!r}",
            reason="unknown_key",
            hint=f"Allowed: {', '.join(sorted(allowed))}.",
        )


def read_text(body: Mapping[str, Any], key: str, *, required: bool = False) -> str | None:
    """Return a short text, or None when it is absent.

    Raises
    ------
    InvalidInput
        When it is missing though required, no text, empty, or too long.
    """
    value = body.get(key)
    if value is None:
        if required:
            raise InvalidInput(f"{key}: is missing", reason="missing_key")
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > _NAME_LENGTH:
        raise InvalidInput(f"{key}: must be text of 1 to {_NAME_LENGTH} characters")
    _check_printable(value, key)
    return value


def read_path(body: Mapping[str, Any]) -> str | None:
    """Return a path of the contents API, or None when it is absent.

    Raises
    ------
    InvalidInput
        When it is no text, too long, or leads out of the server's root.
    """
    value = body.get("path")
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > _PATH_LENGTH:
        raise InvalidInput(f"path: must be text of at most {_PATH_LENGTH} characters")
    _check_printable(value, "path")
    if ".." in value.split("/"):
        raise InvalidInput("path: must not contain '..'")
    return value


def read_client_token(body: Mapping[str, Any]) -> str | None:
    """Return the client token: 4 to 64 ASCII letters, digits and inner hyphens."""
    value = body.get("client_token")
    if value is None:
        return None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise InvalidInput(
            "client_token: must be 4 to 64 ASCII letters, digits or inner hyphens",
            reason="bad_client_token",
        )
    return value


def read_flag(body: Mapping[str, Any], key: str) -> bool | None:
    """Return a yes or no, or None when it is absent.

    Raises
    ------
    InvalidInput
        When it is something else.
    """
    value = body.get(key)
    if value is not None and not isinstance(value, bool):
        raise InvalidInput(f"{key}: must be true or false")
    return value


def read_names(body: Mapping[str, Any], key: str) -> list[str] | None:
    """Return names of variables, or None when all are meant.

    Raises
    ------
    InvalidInput
        When it is no list of names, or an empty one.
    """
    value = body.get(key)
    if value is None:
        return None
    is_list = isinstance(value, list) and all(isinstance(name, str) and name for name in value)
    if not is_list or not value or len(value) > _MOST_NAMES:
        raise InvalidInput(f"{key}: must be a list of 1 to {_MOST_NAMES} names, or null")
    for name in value:
        _check_printable(name, key)
    return list(dict.fromkeys(value))


def read_one_of(body: Mapping[str, Any], key: str, allowed: Sequence[str]) -> str:
    """Return one of a few words; the first when it is absent.

    Raises
    ------
    InvalidInput
        When it is another one.
    """
    value = body.get(key, allowed[0])
    if value not in allowed:
        raise InvalidInput(f"{key}: must be one of {', '.join(allowed)}")
    return str(value)


def read_number(text: str, key: str, maximum: int) -> int:
    """Return a whole number of the query string.

    Raises
    ------
    InvalidInput
        When it is none, or out of range.
    """
    # isdecimal also accepts digits of other scripts, which int() would take.
    if not text.isascii() or not text.isdecimal() or len(text) > 18 or int(text) > maximum:
        raise InvalidInput(f"{key}: must be a whole number from 0 to {maximum}")
    return int(text)


def _check_printable(value: str, key: str) -> None:
    if any(unicodedata.category(character) in _UNPRINTABLE for character in value):
        raise InvalidInput(f"{key}: must not contain control characters")
