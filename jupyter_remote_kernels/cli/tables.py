"""Printing rows for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def format_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Return rows under their column names, aligned.

    Parameters
    ----------
    rows : sequence of mapping
        What to show.
    columns : sequence of str
        Keys to show, in this order.
    """
    cells = [[name.upper().replace("_", " ") for name in columns]]
    cells += [["" if row[name] is None else str(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[index]) for line in cells) for index in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def format_age(age_s: float) -> str:
    """Return a time span in its two largest units, such as ``2 h 5 min``."""
    seconds = int(max(0, age_s))
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or (name == "s" and not parts):
            parts.append(f"{count} {name}")
    return " ".join(parts[:2])
