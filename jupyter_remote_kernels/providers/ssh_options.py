"""The options of an environment of the provider ``ssh``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema

from jupyter_remote_kernels.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY = "~/.cache/jupyter_remote_kernels"


def _text(title: str, description: str, pattern: str = r"^[^-\0\n][^\0\n]*$") -> dict[str, Any]:
    return {"type": "string", "title": title, "description": description, "pattern": pattern}


def _lines(title: str, description: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1, "pattern": r"^[^\0]*$"},
        "title": title,
        "description": description,
    }


OPTIONS_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["host"],
    "properties": {
        "host": _text("Host", "A name or address, or an alias in your SSH configuration."),
        "user": _text("User", "Who to log in as; by default what your SSH configuration says."),
        "port": {
            "type": "integer",
            "minimum": 1,
            "maximum": 65535,
            "title": "Port",
            "description": "Of the SSH server; by default what your SSH configuration says.",
        },
        "proxy_jump": _text(
            "Jump hosts",
            "Hosts to go through, with commas between them; by default as in your SSH"
            " configuration.",
        ),
        "ssh_config": _text("SSH configuration", "In place of ~/.ssh/config."),
        "connect_timeout_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 60,
            "title": "Limit for connecting",
            "description": "How long a connection may take, in seconds; 8 by default.",
        },
        "python": _text(
            "Python", "The interpreter there, which has ipykernel; python3 by default."
        ),
        "venv": _text("Virtual environment", "One there to activate first."),
        "conda": _text("Conda environment", "Name or path of one there to activate first."),
        "modules": {
            **_lines("Modules", "Environment modules to load there first."),
            "items": _text("Module", "Name, with its version if you like."),
        },
        "prelude": _lines("Prelude", "Shell lines to run there first, each of which must succeed."),
        "cwd": _text("Working directory", "Where kernels start there; your home by default."),
        "directory": _text(
            "Directory", f"Where logs of running kernels lie there; {DIRECTORY} by default."
        ),
    },
}


def check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of an environment as they are.

    Raises
    ------
    ProviderError
        When they are not what the schema says.
    """
    try:
        jsonschema.validate(dict(options), OPTIONS_SCHEMA)
    except jsonschema.ValidationError as error:
        key = ".".join(map(str, error.absolute_path))
        raise ProviderError(
            f"the provider 'ssh' cannot use these options: {key or 'options'}: {error.message}",
            reason="bad_option",
            hint="The options are host, user, port, proxy_jump, ssh_config, python, venv, conda,"
            " modules, prelude, cwd, directory and connect_timeout_s.",
        ) from error
    return dict(options)
