"""Reading the values of a configuration table: each function checks one kind of value.

What is refused is an :class:`InvalidEnvironment` that names the key and the reason. ``key`` may
lead into tables (``resources.cpu``); the value stands under its last part.
"""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from jupyter_remote_kernels.errors import InvalidEnvironment

# The largest number that JavaScript, and so every client of ours, reads exactly.
LARGEST = 2**53
_LARGEST_OPTION = 2**63 - 1  # what every reader of TOML must take
_DEEPEST = 32
_TEXT_LENGTH = 200
_SIZE = re.compile(r"\s*(\d{1,15}(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def wrong(key: str, why: str) -> InvalidEnvironment:
    """Return the error that says what is wrong with a key."""
    return InvalidEnvironment(f"{key}: {why}", key=key)


def check_keys(data: Mapping[str, Any], known: Iterable[str], table: str = "") -> None:
    """Refuse keys that mean nothing, and name the one that was probably meant."""
    known = sorted(known)
    for key in sorted(map(str, set(data) - set(known))):
        near = difflib.get_close_matches(key, known, 1)
        meant = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        raise wrong(f"{table}.{key}" if table else key, f"unknown key; {meant}")


def read_text(
    data: Mapping[str, Any],
    key: str,
    default: str,
    length: int = _TEXT_LENGTH,
    *,
    lines: bool = False,
) -> str:
    """Return a text, of one line unless ``lines``; it may be empty only where the default is."""
    value = data.get(_last(key), default)
    if not isinstance(value, str) or (not value.strip() and default.strip()):
        raise wrong(key, "must be text that is not empty" if default else "must be text")
    if len(value) > length:
        raise wrong(key, f"must be at most {length} characters long")
    allowed = "\n\r\t" if lines else ""
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in allowed for c in value):
        raise wrong(key, "must not contain control characters")
    return value


def read_choice(data: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
    """Return one of a few words; the first one is the default."""
    value = data.get(_last(key), choices[0])
    if value not in choices or not isinstance(value, str):
        raise wrong(key, f"must be {' or '.join(map(repr, choices))}")
    return value


def read_flag(data: Mapping[str, Any], key: str, default: bool) -> bool:
    """Return true or false."""
    value = data.get(_last(key), default)
    if not isinstance(value, bool):
        raise wrong(key, "must be true or false")
    return value


def read_amount(data: Mapping[str, Any], key: str) -> float:
    """Return a number from 0 on; 0 when it is absent."""
    value = data.get(_last(key), 0)
    if not _is_number(value) or not 0 <= value <= LARGEST:
        raise wrong(key, "must be a number from 0 on")
    return float(value)


def read_positive(data: Mapping[str, Any], key: str) -> float | None:
    """Return a number above 0, or None."""
    value = data.get(_last(key))
    if value is None:
        return None
    if not _is_number(value) or not 0 < value <= LARGEST:
        raise wrong(key, "must be a number above 0")
    return float(value)


def read_whole(data: Mapping[str, Any], key: str, least: int, most: int = LARGEST) -> int | None:
    """Return a whole number within bounds, or None."""
    value = data.get(_last(key))
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON does not tell 1 from 1.0
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value < least:
        raise wrong(key, f"must be a whole number above {least - 1}")
    if value > most:
        raise wrong(key, f"must be at most {most}")
    return int(value)


def read_table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a table; an empty one when it is absent."""
    value = data.get(_last(key), {})
    if not isinstance(value, Mapping):
        raise wrong(key, "must be a table of keys")
    return value


def read_list(data: Mapping[str, Any], key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return a list of text."""
    value = data.get(_last(key), default)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise wrong(key, "must be a list of text")
    for item in value:
        _check_plain(item, key, 0)
    return tuple(value)


def read_variables(data: Mapping[str, Any], key: str) -> Mapping[str, str]:
    """Return environment variables."""
    table: Mapping[Any, Any] = read_table(data, key)
    for name, value in table.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise wrong(f"{key}.{name}", "names and values must be text")
        _check_plain(value, f"{key}.{name}", 0)
        if not re.fullmatch(r"[^\s=\x00-\x1f\ud800-\udfff]+", name):
            raise wrong(f"{key}.{name}", "is no name of an environment variable")
    return dict(table)


def read_options(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return a table of what both TOML and JSON can say."""
    table = read_table(data, key)
    _check_plain(table, key, 0)
    return dict(table)


def parse_size_bytes(value: Any, key: str = "size") -> int:
    """Parse a size such as ``"16GiB"``, ``"512 MB"`` or a number of bytes.

    Parameters
    ----------
    value : str or int
        The size. ``k``, ``M``, ``G`` and ``T`` are powers of 1000, with ``i`` of 1024.
    key : str, optional
        What the error names.

    Returns
    -------
    int
        Bytes.

    Raises
    ------
    InvalidEnvironment
        When it is no size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise wrong(key, f"{value!r} is no size such as '16GiB'")
    number, prefix, binary = match.groups()
    exponent = " kmgt".index(prefix.lower() or " ")
    return int(float(number) * (1024 if binary else 1000) ** exponent)


def format_size(size_bytes: int) -> str | int:
    """Return a size as :func:`parse_size_bytes` reads it, and exactly."""
    for exponent, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if size_bytes and size_bytes % 1024**exponent == 0:
            return f"{size_bytes // 1024**exponent}{unit}"
    return size_bytes


def _check_plain(value: Any, key: str, depth: int) -> None:
    if depth > _DEEPEST:
        raise wrong(key, "is nested too deeply")
    if isinstance(value, str):
        if any(c == "\0" or "\ud800" <= c <= "\udfff" for c in value):
            raise wrong(key, "must not contain NUL or half characters")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            if not isinstance(name, str):
                raise wrong(f"{key}.{name}", "the names of options must be text")
            _check_plain(name, key, depth)
            _check_plain(item, f"{key}.{name}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _check_plain(item, key, depth + 1)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise wrong(key, "must be a number that is finite")
    elif isinstance(value, int):
        if not -_LARGEST_OPTION <= value <= _LARGEST_OPTION:
            raise wrong(key, "must be a number of at most 64 bits")
    else:
        raise wrong(key, f"must be text, a number, true, false, a list or a table, not {value!r}")


def _is_number(value: Any) -> bool:
    # bool is an int in Python, and "cpu = true" is a slip, not one core.
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _last(key: str) -> str:
    return key.rpartition(".")[2]
