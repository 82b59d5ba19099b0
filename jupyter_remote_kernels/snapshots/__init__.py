"""Committed state: a signed manifest and the chunks it names, in a store.

What lives here: the store interface and the store in files, the manifest, writing and reading
snapshots as state streams, and the catalogue. Standard library only.
What never does: kernels, engines, HTTP, or anything that unpickles.
"""
