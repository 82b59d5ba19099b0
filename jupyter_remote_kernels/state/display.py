"""How results are shown: matplotlib's figures in the notebook, texts, tracebacks."""

from __future__ import annotations

import sys
from typing import Any

_INLINE = ("figure_formats", "print_figure_kwargs", "close_figures", "rc")
_TEXT = ("pprint", "float_precision", "max_width", "max_seq_length", "verbose", "newline")
_SHELL = (
    "ast_node_interactivity",
    "automagic",
    "autocall",
    "call_pdb",
    "sphinxify_docstring",
    "show_rewritten_input",
)


def read_backend(shell: Any) -> dict[str, Any] | None:
    """Read where matplotlib draws, when that has been decided."""
    if "matplotlib.pyplot" not in sys.modules:
        return None
    matplotlib = sys.modules["matplotlib"]
    backend = dict.__getitem__(matplotlib.rcParams, "backend")
    if not isinstance(backend, str):
        return None
    facts: dict[str, Any] = {"backend": backend, "interactive": matplotlib.is_interactive()}
    inline = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None and inline.flush_figures in shell.events.callbacks["post_execute"]:
        options = inline.InlineBackend.instance()
        facts["inline"] = {name: getattr(options, name) for name in _INLINE}
    return facts


def write_backend(shell: Any, facts: dict[str, Any]) -> None:
    """Draw in the same way, and show figures in the notebook where they were shown in it."""
    import matplotlib

    if dict.__getitem__(matplotlib.rcParams, "backend") != facts["backend"]:
        matplotlib.use(facts["backend"])
    if "inline" in facts:
        _show_inline(shell, facts["backend"], facts["inline"])
    matplotlib.interactive(facts["interactive"])


def _show_inline(shell: Any, backend: str, options: dict[str, Any]) -> None:
    from IPython.core.pylabtools import activate_matplotlib, select_figure_formats
    from matplotlib_inline.backend_inline import configure_inline_support
    from matplotlib_inline.config import InlineBackend

    activate_matplotlib(backend)
    configure_inline_support(shell, backend)
    inline = InlineBackend.instance(parent=shell)
    for name, value in options.items():
        setattr(inline, name, value)
    select_figure_formats(shell, inline.figure_formats, **inline.print_figure_kwargs)


def read_display(shell: Any) -> dict[str, Any]:
    """Read how values and errors are written as text."""
    plain = shell.display_formatter.formatters["text/plain"]
    return {
        "text": {name: getattr(plain, name) for name in _TEXT},
        "shell": {name: getattr(shell, name) for name in _SHELL if hasattr(shell, name)},
        "errors": shell.InteractiveTB.mode,
    }


def write_display(shell: Any, facts: dict[str, Any]) -> None:
    """Write values and errors in the same way; what is as it was is not touched."""
    for owner, values in (
        (shell.display_formatter.formatters["text/plain"], facts["text"]),
        (shell, facts["shell"]),
    ):
        for name, value in values.items():
            if getattr(owner, name, value) != value:
                setattr(owner, name, value)
    if shell.InteractiveTB.mode != facts["errors"]:
        shell.InteractiveTB.set_mode(mode=facts["errors"])
