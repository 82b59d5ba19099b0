"""Providers: getting a job from an engine and stopping it, in five verbs.

What lives here: the interface, the lookup by entry point, one module per engine.
What never does: kernels, notebooks, messages, state.
"""
