"""pyplot: figures keep their numbers, and the current one stays current."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

_MANAGED = "_restore_to_pylab"


def reduce_figure(_pickler: StatePickler, figure: Any) -> Any:
    """Take a figure apart; pyplot's own number for it is put back with pyplot's state."""
    reduced = figure.__reduce_ex__(2)
    if len(reduced) > 2 and isinstance(reduced[2], dict) and _MANAGED in reduced[2]:
        state = dict(reduced[2])
        state.pop(_MANAGED)
        return (reduced[0], reduced[1], state, *reduced[3:])
    return reduced


def list_figures() -> dict[int, Any]:
    """Return the figures that pyplot manages, the current one last."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return {}
    return {number: manager.canvas.figure for number, manager in helpers.Gcf.figs.items()}


def restore_figure(number: int, figure: Any) -> None:
    """Make pyplot manage a figure under its number, as the current one."""
    import matplotlib._pylab_helpers
    from matplotlib import pyplot

    backend: Any = pyplot._get_backend_mod()  # noqa: SLF001
    manager = backend.new_figure_manager_given_figure(number, figure)
    figure.number = number
    matplotlib._pylab_helpers.Gcf._set_new_active_manager(manager)  # noqa: SLF001
    # The notebook's backend would show it once more, below whatever is run.
    show: Any = getattr(backend, "show", None)
    if hasattr(show, "_to_draw"):
        show._to_draw = []  # noqa: SLF001
        show._draw_called = False  # noqa: SLF001
