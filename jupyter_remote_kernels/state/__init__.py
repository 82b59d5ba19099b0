"""Namespace ⇄ bytes, inside any CPython 3.9+ kernel, from the standard library and cloudpickle.

All but ``injection`` runs in kernels, under the private name ``_jrk_state``, and imports what
belongs to a library only when the kernel already did. What lives here: what can be carried and
how, groups of variables, the session around them. What never does: where the bytes go, agents,
snapshots, and anything that is installed in or left behind in the user's namespace.
"""
