"""Finding providers by their entry points. Extras are imported only when they are asked for."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from jupyter_remote_kernels.errors import NotFound, NotSupported

if TYPE_CHECKING:
    from jupyter_remote_kernels.providers.base import Provider

GROUP = "jupyter_remote_kernels.providers"
_loaded: dict[str, Provider] = {}


def list_providers() -> list[str]:
    """Return the names of the installed providers, sorted."""
    return sorted({point.name for point in entry_points(group=GROUP)})


@cache
def load_provider(name: str) -> Provider:
    """Return this process's instance of a provider.

    Parameters
    ----------
    name : str
        The entry point's name in the group ``jupyter_remote_kernels.providers``.

    Returns
    -------
    Provider
        Made at the first call; one per process, because engines are polled in batches.

    Raises
    ------
    NotFound
        When no installed package offers this provider.
    NotSupported
        When it is installed, but what it needs is not.
    """
    points = entry_points(group=GROUP, name=name)
    if not points:
        raise NotFound(
            f"there is no provider {name!r}",
            reason="unknown_provider",
            hint=f"Installed providers: {', '.join(list_providers()) or 'none'}.",
        )
    try:
        provider_class = next(iter(points)).load()
    except ImportError as error:
        raise NotSupported(
            f"the provider {name!r} needs a package that is not installed: {error.name}",
            reason="missing_dependency",
            hint=f"Install the extra: pip install 'jupyter_remote_kernels[{name}]'.",
        ) from error
    provider: Provider = provider_class()
    _loaded[name] = provider
    return provider


async def close_providers() -> None:
    """Let all providers go of what this process holds; called at a control plane's end."""
    for provider in list(_loaded.values()):
        await provider.close()
