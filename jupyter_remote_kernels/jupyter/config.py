"""Configuration of the server extension, and its translation into the domain's own types."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, Unicode, Union, validate
from traitlets.config import Configurable

from jupyter_remote_kernels.control.launch import ControlSettings
from jupyter_remote_kernels.errors import InvalidInput
from jupyter_remote_kernels.jupyter.environment_store import EnvironmentStore, find_sources
from jupyter_remote_kernels.link.journal import KEPT_BYTES
from jupyter_remote_kernels.model.credits import PERIODS, Budget
from jupyter_remote_kernels.model.limits import read_user_limits
from jupyter_remote_kernels.snapshots.catalogue import Retention

DEFAULT_ENVIRONMENTS: dict[str, Any] = {
    "python": {"display_name": "Python (remote)", "provider": "local", "env_allowed": ["*"]}
}


class RemoteKernelsConfig(Configurable):
    """All settings, ``c.RemoteKernels.*``; shared by the server extension and the command line."""

    environments = Dict(
        DEFAULT_ENVIRONMENTS,
        config=True,
        help="""Environments by name, each a table of keys. They are the platform's, like those
        of the files in the system's configuration directories. Where the platform names none,
        there is one, "python", on the provider "local".""",
    )
    on_server_stop = Enum(
        ("detach", "pause", "terminate"),
        "detach",
        config=True,
        help="""What happens to runtimes when the server stops. "detach": they go on, and the
        next server of the same directory and port takes them back. "pause": their state is saved
        and their machines are given back; the next server shows them as paused. "terminate": they
        end, as local kernels do.""",
    )
    pause_limit_s = Float(
        300.0,
        config=True,
        help="""Seconds that all pauses together may take when the server stops and
        on_server_stop is "pause". What is not paused then, such as a kernel with a cell that
        runs, goes on as with "detach".""",
    )
    silence_timeout_s = Float(
        86_400.0,
        config=True,
        help="""Seconds after which an agent that nobody has contacted ends itself and its
        kernel. 0 keeps it for ever.""",
    )
    vacant_timeout_s = Float(
        120.0,
        config=True,
        help="Seconds after which an agent whose kernel has died and is not restarted ends.",
    )
    start_timeout_s = Float(
        120.0,
        config=True,
        help="""Seconds that a job may run without its kernel answering, before the launch
        counts as failed. Waiting in an engine's queue does not count.""",
    )
    stop_grace_s = Float(
        3.0,
        config=True,
        help="Seconds that a job gets to end by itself before it is killed.",
    )

    user_limits = Dict(
        default_value={},
        per_key_traits={
            "runtimes": Int(),
            "cpu": Float(),
            "memory": Union([Int(), Unicode()]),
            "gpu": Int(),
        },
        config=True,
        help="""What all living runtimes of a user may have together: runtimes (how many), cpu,
        memory and gpu. Without a limit on one, nobody counts it.""",
    )
    credits_budget = Float(
        None,
        allow_none=True,
        config=True,
        help="""Credits that may be used in one period. Launches that could cost more are
        refused, and every runtime that costs something gets a time reservation.""",
    )
    credits_period = Enum(
        PERIODS,
        "month",
        config=True,
        help="What the budget is for: a day or a month (both UTC), or all time.",
    )
    lease_warnings_s = List(
        Float(),
        [300.0, 60.0],
        config=True,
        help="How many seconds before the end of a time reservation to warn.",
    )
    kept_outputs_bytes = Int(
        KEPT_BYTES,
        min=1024 * 1024,
        config=True,
        help="""How many bytes of cells' outputs are kept on the server's disk per runtime, for
        pages that are reloaded or opened later. Beyond it finished cells go first, the oldest
        before the others, then the oldest messages of running cells.""",
    )

    snapshots_kept = Int(
        2,
        min=1,
        config=True,
        help="""How many of the snapshots that pauses have taken are kept for each runtime. What a
        person has taken, uploaded or named is kept in any case, and so is what a paused runtime
        resumes from.""",
    )
    snapshots_max_age_s = Float(
        None,
        allow_none=True,
        config=True,
        help="""Seconds after which the snapshots that pauses have taken are removed, as far as no
        runtime needs them. None is never.""",
    )
    auto_resume = Bool(
        True,
        config=True,
        help="""Whether a cell that is run on a paused runtime resumes it. Nothing else does.
        Otherwise the cell gets an error, and a person has to resume the runtime.""",
    )

    @validate("user_limits")
    def _validate_user_limits(self, proposal: Any) -> Any:
        try:
            read_user_limits(proposal["value"])
        except InvalidInput as error:
            raise TraitError(f"RemoteKernels.user_limits: {error.message}") from error
        return proposal["value"]

    def control_settings(self) -> ControlSettings:
        """Return times, limits and budget for the control plane."""
        return ControlSettings(
            silence_s=self.silence_timeout_s,
            vacant_s=self.vacant_timeout_s,
            start_timeout_s=self.start_timeout_s,
            stop_grace_s=self.stop_grace_s,
            user_limits=read_user_limits(self.user_limits),
            budget=Budget(self.credits_budget, self.credits_period),
            warnings_s=tuple(self.lease_warnings_s),
            is_server=True,
            leaves_running=self.on_server_stop != "terminate",
            kept_outputs_bytes=self.kept_outputs_bytes,
            auto_resume=self.auto_resume,
            retention=Retention(self.snapshots_kept, self.snapshots_max_age_s),
        )

    def open_environments(self) -> EnvironmentStore:
        """Read the environments, of this configuration and of the files.

        Returns
        -------
        EnvironmentStore
            The good ones, and what is wrong with the others.
        """
        section = self.config.get("RemoteKernels", {})
        is_named = "environments" in section or self.environments != DEFAULT_ENVIRONMENTS
        return EnvironmentStore(
            find_sources(self.environments if is_named else None, DEFAULT_ENVIRONMENTS)
        )
