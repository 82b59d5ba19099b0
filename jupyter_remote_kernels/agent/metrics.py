"""What the kernel uses of CPU and memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from jupyter_remote_kernels.agent.limits import read_memory_bytes, read_peak_bytes

if TYPE_CHECKING:
    from jupyter_remote_kernels.protocol.settings import AgentSettings

# So much CPU time has to pass before a process is asked for its children again.
_COMPUTED_S = 0.05


class MetricsSampler:
    """Measures the kernel and its children.

    Parameters
    ----------
    settings : AgentSettings
        Names the cgroup to read, and the limit that the user knows.
    """

    def __init__(self, settings: AgentSettings) -> None:
        self._settings = settings
        self._before_s = 0.0
        self._before_cpu_s = 0.0
        self._before_pid: int | None = None
        self._finished_cpu_s = 0.0
        self._family: _Family | None = None
        self._peak_bytes: int | None = None
        self.last: dict[str, Any] = {}

    def sample(self, pid: int | None) -> dict[str, Any]:
        """Measure now.

        Returns
        -------
        dict
            ``cpu_percent`` (100 is one core, over the time since the last sample),
            ``cpu_time_s`` (over all restarts), ``memory_bytes``,
            ``memory_max_bytes`` (the most so far), ``memory_limit_bytes``.
        """
        if pid != self._before_pid:
            # A restart keeps the CPU time used so far: it is what the user pays for.
            self._finished_cpu_s += self._before_cpu_s
            self._before_cpu_s, self._before_pid, self._before_s = 0.0, pid, 0.0
        now_s = time.monotonic()
        cpu_s, memory_bytes = self._measure(pid)
        elapsed_s = now_s - self._before_s
        percent = None
        if self._before_s and elapsed_s > 0 and cpu_s is not None:
            percent = round(max(0.0, 100 * (cpu_s - self._before_cpu_s) / elapsed_s), 1)
        if cpu_s is not None:
            self._before_s, self._before_cpu_s = now_s, cpu_s
        in_cgroup = read_memory_bytes(self._settings.cgroup)
        used_bytes = in_cgroup if in_cgroup is not None else memory_bytes
        self._note_peak(pid, used_bytes)
        self.last = {
            "cpu_percent": percent,
            "cpu_time_s": round(self._finished_cpu_s + self._before_cpu_s, 2),
            "memory_bytes": used_bytes,
            "memory_max_bytes": self._peak_bytes,
            "memory_limit_bytes": self._settings.memory_limit_bytes,
        }
        return self.last

    def _note_peak(self, pid: int | None, used_bytes: int | None) -> None:
        # The operating system has also seen what came and went between two samples.
        known = [self._peak_bytes, used_bytes, read_peak_bytes(pid)]
        self._peak_bytes = max((size for size in known if size is not None), default=None)

    def _measure(self, pid: int | None) -> tuple[float | None, int | None]:
        if pid is None:
            return None, None
        if self._family is None or self._family.pid != pid:
            self._family = _Family(pid)
        return self._family.measure()

    @staticmethod
    def differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Tell whether a user would see the difference; idle kernels then send nothing."""
        for key, step in (("cpu_percent", 1.0), ("memory_bytes", 2**20)):
            old, new = before.get(key), after.get(key)
            if old is None or new is None:
                if old is not new:
                    return True
            elif abs(old - new) >= step:
                return True
        return False


class _Family:
    """A process with everything below it."""

    def __init__(self, pid: int) -> None:
        import psutil

        self._error = psutil.Error
        self.pid = pid
        self._head = psutil.Process(pid)
        self._below: list[psutil.Process] = []
        self._counted_cpu_s = -1.0

    def measure(self) -> tuple[float | None, int | None]:
        """Return CPU time in seconds and resident memory in bytes; None when it is gone."""
        try:
            usage = self._add_up()
            # Looking for descendants means to look at all processes of the machine, and only
            # who has computed can have started one. Idle kernels by the hundred cost nothing.
            if usage[0] - self._counted_cpu_s > _COMPUTED_S:
                self._counted_cpu_s = usage[0]
                self._below = self._head.children(recursive=True)
                usage = self._add_up()
        except self._error:
            return None, None
        return usage

    def _add_up(self) -> tuple[float, int]:
        own = self._head.cpu_times()
        # Children that have ended are in the parent's own account.
        cpu_s = own.user + own.system + own.children_user + own.children_system
        memory_bytes = self._head.memory_info().rss
        for member in self._below:
            try:
                times = member.cpu_times()
                memory_bytes += member.memory_info().rss
            except self._error:
                continue  # it has ended since it was found
            cpu_s += times.user + times.system
        return cpu_s, memory_bytes
