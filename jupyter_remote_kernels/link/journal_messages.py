"""What messages say about the execution that they belong to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.protocol.messages import unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_remote_kernels.protocol.frames import Buffer

# Ids of browsers have 36 characters; longer ones are somebody's who does not mean well.
LONGEST_ID = 256


def read_cell(parts: Sequence[Buffer]) -> str | None:
    """Return the notebook's cell that a request came from, as JupyterLab says it."""
    if b'"cellId"' not in bytes(parts[2]):
        return None
    try:
        cell_id = unpack(parts[2]).get("cellId")
    except InvalidInput:
        return None
    is_sound = isinstance(cell_id, str) and 0 < len(cell_id) <= LONGEST_ID
    return cell_id if is_sound else None


def read_changes(channel: str, parts: Sequence[Buffer]) -> dict[str, Any] | None:
    """Return which facts a message changes; None when it does not belong into a transcript."""
    try:
        kind = unpack(parts[0]).get("msg_type")
        content = unpack(parts[3])
    except InvalidInput:
        return None
    if channel == "stdin":
        # Without a word about it, it is taken for a secret.
        is_secret = content.get("password") is not False
        asked = {"pending_input": True, "is_secret": is_secret}
        return asked if kind == "input_request" else None
    if channel != "iopub":
        count = _read_count(content)
        done = {"has_reply": True, "pending_input": False, **count}
        return done if kind == "execute_reply" else None
    if kind == "status":
        return {"is_idle": True} if content.get("execution_state") == "idle" else {}
    if kind == "execute_input":
        return _read_count(content)
    if kind == "clear_output":
        return {} if content.get("wait") else {"clear": True}
    # A page asks the kernel itself for its widgets; what they say to each other can be much.
    return None if str(kind).startswith("comm_") else {}


def _read_count(content: dict[str, Any]) -> dict[str, Any]:
    count = content.get("execution_count")
    return {"execution_count": count} if isinstance(count, int) and count > 0 else {}
