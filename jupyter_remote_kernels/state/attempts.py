"""The one place where the errors of other people's code are caught."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Refused(Exception):
    """A value that is not carried.

    Parameters
    ----------
    reason : str
        One sentence for the user.
    culprit : object, optional
        The object inside the value that is to blame.
    """

    def __init__(self, reason: str, culprit: Any = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.culprit = culprit


@contextlib.contextmanager
def paused_collection() -> Iterator[None]:
    """Let the collector rest: millions of objects come into being, and none of them is garbage."""
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()


def attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """Call a function and return what it returns, and what it raised.

    Saving and loading runs methods of any library and of the user, and each may raise anything.
    One bad variable must not cost the others, so that its error becomes its reason.
    """
    try:
        return function(*arguments), None
    except Exception as error:  # noqa: BLE001 - becomes the variable's reason, never lost
        return None, error


def explain(error: BaseException) -> str:
    """Return why something failed, in one line."""
    if isinstance(error, Refused):
        return error.reason
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__
