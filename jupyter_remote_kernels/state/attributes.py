"""Dictionaries whose items are their attributes: ``self.__dict__ = self``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

REDUCER = "attributes.reduce_own_dictionary"


def may_be_own(kind: type) -> bool:
    """Whether objects of a type could be their own dictionary, as far as the type says."""
    return (
        issubclass(kind, dict)
        and bool(kind.__dictoffset__)
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and getattr(kind, "__getstate__", None) is getattr(object, "__getstate__", None)
    )


def reduce_own_dictionary(_pickler: StatePickler, value: Any) -> Any:
    """Take such a dictionary apart into its items; pickle would make two dictionaries of it."""
    if object.__getattribute__(value, "__dict__") is not value:
        return NotImplemented
    return make_own_dictionary, (type(value),), None, None, iter(dict.items(value))


def make_own_dictionary(kind: Any) -> Any:
    """Make one without items."""
    value = kind.__new__(kind)
    object.__setattr__(value, "__dict__", value)
    return value
