"""torch tensors: storages out of band, shared by everything that shared them before."""

from __future__ import annotations

import ctypes
import pickle
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_remote_kernels.state.pickling import StatePickler


class Storage:
    """The memory in which tensors lie.

    Parameters
    ----------
    storage : torch.UntypedStorage
        The memory; there may be several such objects for one.
    """

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def __reduce__(self) -> Any:
        """Take the memory apart: its bytes, and the device it belongs to."""
        device = str(self.storage.device)
        # Kept by the pickler's memo for as long as its bytes are needed.
        self.bytes = self.storage if self.storage.device.type == "cpu" else self.storage.cpu()
        size = self.bytes.nbytes()
        if not size:
            return make_storage, (None, device)
        memory = (ctypes.c_ubyte * size).from_address(self.bytes.data_ptr())
        return make_storage, (pickle.PickleBuffer(memory), device)


def make_storage(buffer: Any, device: str) -> Any:
    """Make memory for tensors over a restored buffer, on its device where there is one."""
    import torch

    if buffer is None:
        storage = torch.UntypedStorage(0)
    else:
        storage = torch.frombuffer(buffer, dtype=torch.uint8).untyped_storage()
    kind = device.partition(":")[0]
    if kind == "cuda" and torch.cuda.is_available():
        count = torch.cuda.device_count()
        number = int(device.partition(":")[2] or 0)
        return storage.cuda(f"cuda:{number if number < count else 0}")
    return storage


def _find_storage(pickler: StatePickler, storage: Any) -> Storage | None:
    if storage.device.type not in ("cpu", "cuda"):
        return None
    key = (str(storage.device), storage.data_ptr() or id(storage), storage.nbytes())
    found = pickler.context.storages.get(key)
    if found is None:
        found = pickler.context.storages[key] = Storage(storage)
    if pickler.variable:
        pickler.context.note(id(found), found, pickler.variable)
    return found


def reduce_tensor(pickler: StatePickler, tensor: Any) -> Any:
    """Take a plain tensor or parameter apart; other kinds are left to torch."""
    import torch

    kind = type(tensor)
    if kind not in (torch.Tensor, torch.nn.Parameter) or tensor.layout is not torch.strided:
        return NotImplemented
    if tensor.is_quantized or tensor.is_conj() or tensor.is_neg():
        return NotImplemented
    storage = _find_storage(pickler, tensor.untyped_storage())
    if storage is None:
        return NotImplemented
    if pickler.variable:
        pickler.context.note(id(tensor), tensor, pickler.variable)
    form = (tensor.dtype, tensor.storage_offset(), tuple(tensor.shape), tensor.stride())
    state = dict(tensor.__dict__)
    gradient = tensor.grad if tensor.is_leaf else None
    made = (storage, form, tensor.requires_grad, kind is torch.nn.Parameter)
    return make_tensor, made, (state, gradient), None, None, finish_tensor


def make_tensor(
    storage: Any, form: tuple[Any, ...], requires_grad: bool, is_parameter: bool
) -> Any:
    """Make a tensor in restored memory."""
    import torch

    dtype, offset, shape, strides = form
    tensor = torch.empty(0, dtype=dtype, device=storage.device)
    tensor.set_(storage, offset, shape, strides)
    if is_parameter:
        return torch.nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


def finish_tensor(tensor: Any, state: tuple[dict[str, Any], Any]) -> None:
    """Give a tensor its attributes and its gradient."""
    attributes, gradient = state
    tensor.__dict__.update(attributes)
    if gradient is not None:
        tensor.grad = gradient


def reduce_storage(pickler: StatePickler, storage: Any) -> Any:
    """Take memory itself apart."""
    import torch

    if isinstance(storage, torch.UntypedStorage):
        found = _find_storage(pickler, storage)
        return NotImplemented if found is None else (same, (found,))
    return NotImplemented


def same(thing: Any) -> Any:
    """Return what it is given: the form in which an object stands for another."""
    return thing
