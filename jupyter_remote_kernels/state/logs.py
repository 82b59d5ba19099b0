"""Logging: handlers without their open streams, and the loggers that have handlers or levels."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

# Loggers of the kernel and of Jupyter: theirs, not the user's.
_FOREIGN = (
    "asyncio", "comm", "ipykernel", "IPKernelApp", "IPython", "jupyter", "parso", "tornado",
    "traitlets", "zmq", "matplotlib", "PIL", "concurrent",
)  # fmt: skip


def reduce_handler(_pickler: StatePickler, handler: Any) -> Any:
    """Take a handler apart: everything but its lock, and a file that will only be added to."""
    state = dict(handler.__dict__)
    state.pop("lock", None)
    if isinstance(handler, logging.FileHandler):
        handler.flush()
        # It opens itself again with the next record, at the end of what it has written.
        state["stream"] = None
        state["mode"] = "a"
        state.pop("_builtin_open", None)
    return make_handler, (type(handler),), state, None, None, finish_handler


def make_handler(kind: Any) -> Any:
    """Make a handler without calling its constructor, which would open its file."""
    return kind.__new__(kind)


def finish_handler(handler: Any, state: dict[str, Any]) -> None:
    """Give a handler its settings and a lock, and enter it where logging keeps its handlers."""
    handler.__dict__.update(state)
    if isinstance(handler, logging.FileHandler):
        handler._builtin_open = open  # type: ignore[attr-defined] # noqa: SLF001
    handler.createLock()
    register = getattr(logging, "_addHandlerRef", None)
    if register is not None:
        register(handler)


def read_loggers() -> list[dict[str, Any]]:
    """Return the settings of the loggers that the user has changed."""
    found = []
    loggers: list[Any] = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for logger in loggers:
        if not isinstance(logger, logging.Logger) or logger.name.startswith(_FOREIGN):
            continue
        is_root = logger.name == "root"
        level = logging.WARNING if is_root else logging.NOTSET
        if not logger.handlers and logger.level == level and logger.propagate:
            continue
        found.append(
            {
                "name": logger.name,
                "level": logger.level,
                "propagate": logger.propagate,
                "disabled": logger.disabled,
                "handlers": list(logger.handlers),
                "filters": list(logger.filters),
            }
        )
    return found


def restore_loggers(loggers: list[dict[str, Any]]) -> None:
    """Put the settings of loggers back; what they have that we do not know stays."""
    for facts in loggers:
        name = facts["name"]
        logger = logging.getLogger(None if name == "root" else name)
        logger.setLevel(facts["level"])
        logger.propagate = facts["propagate"]
        logger.disabled = facts["disabled"]
        known = {(type(handler), handler.get_name()) for handler in logger.handlers}
        for handler in facts["handlers"]:
            if name != "root" or (type(handler), handler.get_name()) not in known:
                logger.addHandler(handler)
        for each in facts["filters"]:
            logger.addFilter(each)
