"""Formulas of patsy: it does not say how they are pickled, but their parts are ordinary."""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

REDUCER = "formulas.reduce_part"


def is_part(kind: type) -> bool:
    """Whether a type is one of those that patsy leaves without a way to be pickled."""
    refuses = getattr(kind, "__getstate__", None)
    return (
        getattr(refuses, "__module__", None) == "patsy.util"
        and getattr(refuses, "__name__", None) == "no_pickling"
        and bool(kind.__dictoffset__)
    )


def reduce_part(_pickler: StatePickler, value: Any) -> Any:
    """Take a part of a formula apart into its attributes."""
    return copyreg.__newobj__, (type(value),), dict(vars(value))  # type: ignore[attr-defined]


def reduce_matrix(pickler: StatePickler, matrix: Any) -> Any:
    """Take a design matrix apart: an array and what its columns mean."""
    import numpy

    array = matrix.view(numpy.ndarray)
    pickler.context.kept.append(array)
    return make_matrix, (type(matrix), array, dict(vars(matrix)))


def make_matrix(kind: Any, array: Any, attributes: dict[str, Any]) -> Any:
    """Make a design matrix of its array."""
    matrix = array.view(kind)
    vars(matrix).update(attributes)
    return matrix
