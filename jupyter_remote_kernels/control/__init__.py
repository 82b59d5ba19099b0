"""The control plane: the life cycle of runtimes.

What lives here: the registry, one driver per runtime that applies the table of phases, the
sweep over what dead processes left, operations, and the thread that carries it all.
What never does: tornado, ZMQ, HTTP, names of engines.
"""
