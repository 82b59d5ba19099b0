"""Classes of the notebook in another version: their own methods come with them, the rest is remade.

What dataclasses, named tuples and enumerations put into a class belongs to one version of Python.
It is left out, and made again by the version at hand.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
import types
from typing import TYPE_CHECKING, Any

from cloudpickle import cloudpickle

from jupyter_remote_kernels.state.foreign import CODE_TAG, LeftOut, do_without

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler

_FIELDS = "__dataclass_fields__"
_PARAMETERS = "__dataclass_params__"
_CHOICES = ("init", "repr", "eq", "order", "unsafe_hash", "frozen", "match_args", "kw_only")
_FIELD_CHOICES = ("init", "repr", "hash", "compare", "metadata", "kw_only")
# What the compiler notes of a class, and what only a newer version knows to do with.
_OF_A_VERSION = frozenset({"__static_attributes__", "__firstlineno__", "__replace__"})
_MADE_OF_FIELDS = frozenset(
    {"__hash__", "__match_args__", "__getstate__", "__setstate__", _PARAMETERS, _FIELDS}
)
_KEPT_OF_ENUM = frozenset({"__doc__", "__module__", "__qualname__", "__annotations__"})


def reduce_class(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Let a class be finished by :func:`finish_class`, which knows its version."""
    arguments, (attributes, slots) = reduced[1:3]
    # What pickling itself leaves in a class, which would link it with its objects.
    attributes.pop("__slotnames__", None)
    is_plain = reduced[0] is cloudpickle._make_skeleton_class  # noqa: SLF001 - the seam it has
    if is_plain and "__slots__" in attributes and "_field_defaults" not in attributes:
        # Only a class that is made with them has them; a named tuple has none of its own.
        named = {**arguments[3], "__slots__": attributes.pop("__slots__")}
        arguments = (*arguments[:3], named, *arguments[4:])
        for name, value in list(attributes.items()):
            if isinstance(value, types.MemberDescriptorType):
                del attributes[name]
    return (reduced[0], arguments, (CODE_TAG, attributes, slots), *reduced[3:5], finish_class)


def finish_class(made: Any, state: tuple[str, dict[str, Any], Any]) -> Any:
    """Give a new class its attributes."""
    tag, attributes, slots = state
    if tag == CODE_TAG:
        return cloudpickle._class_setstate(made, (attributes, slots))  # noqa: SLF001
    for name in _OF_A_VERSION & set(attributes):
        _drop(attributes, name)
    if issubclass(made, enum.Enum):
        _strip_enum(attributes)
    remake = None
    if _FIELDS in attributes:
        remake = _prepare_dataclass(attributes)
    elif made.__bases__ == (tuple,) and "_field_defaults" in attributes:
        _remake_named_tuple(made, attributes)
    cloudpickle._class_setstate(made, (attributes, slots))  # noqa: SLF001
    if remake is not None:
        _remake_dataclass(made, attributes, *remake)
    return made


def _drop(attributes: dict[str, Any], name: str) -> None:
    missing = _find_left_out(attributes.pop(name))
    if missing is not None:
        do_without(missing)


def _find_left_out(value: Any) -> LeftOut | None:
    """Return what is missing in a method, if anything is; it may be wrapped in another."""
    for _ in range(3):
        if isinstance(value, LeftOut):
            return value
        value = getattr(value, "__func__", getattr(value, "__wrapped__", None))
    return None


def _is_left_out(value: Any) -> bool:
    return _find_left_out(value) is not None


def _strip_enum(attributes: dict[str, Any]) -> None:
    """Leave to the class what this version has already put into it."""
    for name, value in list(attributes.items()):
        is_own = getattr(value, "__module__", "") == "__main__" and not _is_left_out(value)
        if name.startswith("_") and name.endswith("_") and not is_own and name not in _KEPT_OF_ENUM:
            _drop(attributes, name)


def _remake_named_tuple(made: Any, attributes: dict[str, Any]) -> None:
    fields, defaults = attributes["_fields"], attributes["_field_defaults"]
    model = collections.namedtuple(made.__name__, fields, defaults=list(defaults.values()))  # type: ignore[misc]
    for name, value in list(attributes.items()):
        if _is_left_out(value) and name in vars(model):
            _drop(attributes, name)
            setattr(made, name, vars(model)[name])


def _prepare_dataclass(attributes: dict[str, Any]) -> tuple[Any, Any]:
    parameters, fields = attributes[_PARAMETERS], attributes[_FIELDS]
    for name in _MADE_OF_FIELDS & set(attributes):
        # A method of the user's that has one of these names is his.
        if name != "__hash__" or attributes[name] is None or _is_left_out(attributes[name]):
            _drop(attributes, name)
    for name, value in list(attributes.items()):
        if name.startswith("__") and _is_left_out(value):
            _drop(attributes, name)
    return parameters, fields


def _remake_dataclass(made: Any, attributes: dict[str, Any], parameters: Any, fields: Any) -> None:
    own = vars(made).get("__annotations__", {})
    members = {
        name: value
        for name, value in vars(made).items()
        if isinstance(value, types.MemberDescriptorType)
    }
    for name, field in fields.items():
        if name in own and field._field_type is not dataclasses._FIELD_CLASSVAR:  # type: ignore[attr-defined]  # noqa: SLF001
            _put_field(made, name, field)
    known = dataclasses.dataclass.__kwdefaults__ or {}
    choices = {
        name: getattr(parameters, name)
        for name in _CHOICES
        if name in known and hasattr(parameters, name)
    }
    # A class with __slots__ has them already; it must stay the same class.
    dataclasses.dataclass(**choices)(made)
    for name, member in members.items():
        setattr(made, name, member)
    for name, field in fields.items():
        # The user may have changed a default, which is an attribute, since then.
        if name in own and name in attributes and attributes[name] is not field.default:
            setattr(made, name, attributes[name])


def _put_field(made: Any, name: str, field: Any) -> None:
    choices = {each: getattr(field, each) for each in _FIELD_CHOICES if hasattr(field, each)}
    known = dataclasses.field.__kwdefaults__ or {}
    choices = {each: value for each, value in choices.items() if each in known}
    if choices.get("kw_only") is None:
        choices.pop("kw_only", None)
    for each in ("default", "default_factory"):
        value = getattr(field, each)
        if value is not dataclasses.MISSING:
            choices[each] = value
    setattr(made, name, dataclasses.field(**choices))


def reduce_mark(_pickler: StatePickler, mark: Any) -> Any:
    """Take a field or the parameters of a dataclass apart, whose attributes grow with versions."""
    kind = type(mark)
    names = [name for name in kind.__slots__ if hasattr(mark, name)]
    return (
        make_mark,
        (kind.__name__,),
        {name: getattr(mark, name) for name in names},
        None,
        None,
        (finish_mark),
    )


def make_mark(kind: str) -> Any:
    """Make a field or parameters without attributes."""
    found: Any = getattr(dataclasses, kind)
    return found.__new__(found)


def finish_mark(mark: Any, state: dict[str, Any]) -> None:
    """Give a field or parameters the attributes that this version has."""
    for name in type(mark).__slots__:
        if name in state:
            setattr(mark, name, state[name])
