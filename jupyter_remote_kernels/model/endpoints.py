"""Where an agent can be reached: said by providers, used by the link."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Endpoint:
    """Where an agent can be reached.

    Attributes
    ----------
    url : str
        ``http://host:port`` without a trailing slash.
    token : str or None
        The token to present when it is the engine's and not the runtime's own.
    """

    url: str
    token: str | None = field(default=None, repr=False)
