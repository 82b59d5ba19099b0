"""Why an agent ends, told to whoever is connected and written down for who comes later."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.protocol.settings import ENDING_FILE, STATE_LEFT

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping

_GRACE_S = 1.0
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True)
class Ending:
    """Why an agent ends.

    Attributes
    ----------
    cause : mapping
        ``reason``, ``message``, ``hint``, ``code`` and ``signal``, as for a kernel's exit.
    grace_s : float
        How long the kernel gets to end by itself, in seconds.
    """

    cause: Mapping[str, Any]
    grace_s: float = _GRACE_S


def lease_over(lease_s: float, grace_s: float) -> Ending:
    """Return the ending of a runtime whose reservation is used up."""
    message = f"its time reservation of {describe_duration(lease_s)} is over"
    return Ending(_cause("lease_over", message, "Restart it for a new reservation."), grace_s)


def nobody_asked(silence_s: float) -> Ending:
    """Return the ending of a runtime that nobody has contacted for so long."""
    message = f"nobody had contacted it for {describe_duration(silence_s)}"
    return Ending(_cause("silence", message, "Start a new one, or allow a longer silence."))


def state_left(ending: Ending) -> Ending:
    """Return the same ending of a runtime whose state lies beside it now."""
    message = f"{ending.cause['message']}; its state was saved beside it"
    hint = "The next Jupyter server in the place of its own takes the state over."
    return Ending(_cause(STATE_LEFT, message, hint), 0.0)


def without_kernel(vacant_s: float) -> Ending:
    """Return the ending of an agent that had no kernel for so long."""
    message = f"its kernel had ended, and nobody restarted it for {describe_duration(vacant_s)}"
    return Ending(_cause("vacant", message, "Start a new one."))


def told_to_end(signum: signal.Signals) -> Ending:
    """Return the ending of an agent that got a signal."""
    message = f"its agent was ended by {signum.name}"
    return Ending(_cause("agent_terminated", message, "Start a new one."))


def asked_to_end() -> Ending:
    """Return the ending of an agent that a client has told to end."""
    return Ending(_cause("agent_terminated", "a client of its agent has ended it", ""))


def record_ending(directory: str, ending: Ending, age_s: float, metrics: Mapping[str, Any]) -> None:
    """Write the ending into the runtime's directory, where the next server finds it.

    Parameters
    ----------
    directory : str
        The runtime's directory; one that is gone is fine, since then nobody looks for it.
    ending : Ending
        Why.
    age_s : float
        How long the runtime has lived, in seconds, by a clock that nobody sets.
    metrics : mapping
        The last measurement.
    """
    path = os.path.join(directory, ENDING_FILE)
    content = {
        "cause": dict(ending.cause),
        "ended_s": time.time(),
        "age_s": age_s,
        "metrics": dict(metrics),
    }
    with contextlib.suppress(OSError):
        descriptor = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file)
        # A reader sees the whole file or none.
        os.replace(path + ".new", path)


def describe_duration(seconds: float) -> str:
    """Return a duration in words: the two largest units of it, such as ``1 hour 30 minutes``."""
    left = max(1, round(seconds))
    words = []
    for size, name in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {name}{'' if count == 1 else 's'}")
    return " ".join(words[:2])


def _cause(reason: str, message: str, hint: str) -> dict[str, Any]:
    return {"reason": reason, "message": message, "hint": hint, "code": None, "signal": None}
