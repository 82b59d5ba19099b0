"""Where a buffer lies in memory."""

from __future__ import annotations

import ctypes


def address_of(view: memoryview) -> int:
    """Return the address of a buffer; memory that must not be written has one too."""
    if not view.nbytes:
        return 0
    if not view.readonly:
        return ctypes.addressof(ctypes.c_char.from_buffer(view))
    # The first field of a Py_buffer is the address.
    holder = (ctypes.c_char * 256)()
    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get.argtypes = (ctypes.py_object, ctypes.c_void_p, ctypes.c_int)
    release.argtypes = (ctypes.c_void_p,)
    release.restype = None
    get(view, ctypes.byref(holder), 0)
    address = ctypes.c_void_p.from_buffer(holder).value
    release(ctypes.byref(holder))
    return int(address or 0)
