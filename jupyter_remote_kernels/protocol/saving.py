"""When to begin to save a kernel's state, so that it is done when its time is over."""

from __future__ import annotations

# However little there is: a kernel may have to finish a cell first.
LEAST_LEAD_S = 60.0
# A guess, where nothing was measured; slow disks and networks are not faster.
USUAL_BYTES_PER_S = 100e6
# Two times the time that it should take, and a start.
_MARGIN = 2.0
_BEGIN_S = 10.0


def find_lead_s(size_bytes: int | None, bytes_per_s: float, lease_s: float) -> float:
    """Return how long before its end a reservation's kernel is to be saved, in seconds.

    Parameters
    ----------
    size_bytes : int or None
        How much memory the kernel uses, as far as that is known.
    bytes_per_s : float
        How fast its state can be saved.
    lease_s : float
        The whole reservation. Half of it belongs to the kernel, whatever it holds.
    """
    needed_s = _BEGIN_S + _MARGIN * (size_bytes or 0) / bytes_per_s
    return min(max(LEAST_LEAD_S, needed_s), lease_s / 2)
