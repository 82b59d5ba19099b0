"""What a variable needs of the kernel that it goes to, and whether that kernel has it."""

from __future__ import annotations

import pkgutil
import sys
import sysconfig
from dataclasses import dataclass, field
from typing import Any

# Each version of Python has them, or they are the user's.
_EVERYWHERE = frozenset({"", "__main__", "builtins", "_jrk_state"})
# Their values have forms of ours that each version reads, so that nobody has to look at them.
_NEUTRAL = frozenset({"numpy", "pandas", "pyarrow", "polars"})


@dataclass
class Needs:
    """What one stream needs.

    Attributes
    ----------
    modules : set of str
        Names of modules of which it names classes and functions.
    owners : set of str
        Names of the modules of its objects' types.
    unsourced : list of str
        Its functions whose cells' text is not known.
    """

    modules: set[str] = field(default_factory=set)
    owners: set[str] = field(default_factory=set)
    unsourced: list[str] = field(default_factory=list)

    @property
    def packages(self) -> dict[str, str]:
        """Packages that have a version, but for those whose version does not matter."""
        names = {name.partition(".")[0] for name in self.owners} - _EVERYWHERE - _NEUTRAL
        found = {name: version_of(name) for name in sorted(names)}
        return {name: version for name, version in found.items() if version}


def version_of(package: str) -> str:
    """Return the version of a package that is imported; empty when it has none."""
    version = getattr(sys.modules.get(package), "__version__", "")
    # Modules of the standard library have one too, which nobody counts.
    return version if isinstance(version, str) and not _is_standard(package) else ""


def _is_standard(package: str) -> bool:
    names = getattr(sys, "stdlib_module_names", None)
    if names is not None:
        return package in names
    file = getattr(sys.modules.get(package), "__file__", None) or ""
    folder = sysconfig.get_paths()["stdlib"]
    return not file or (file.startswith(folder) and "-packages" not in file)


def list_packages() -> list[str]:
    """Return what can be imported in this kernel, without importing it."""
    names = {module.name for module in pkgutil.iter_modules()} | set(sys.builtin_module_names)
    return sorted(name for name in names if not name.startswith("_jrk"))


def explain_unfit(needs: Needs, target: dict[str, Any]) -> str | None:
    """Return why a kernel cannot take something; ``None`` when it can.

    Parameters
    ----------
    needs : Needs
        What it needs.
    target : dict
        How that kernel describes itself.
    """
    here = (sys.implementation.name, *map(str, sys.version_info[:2]))
    there = (str(target.get("implementation")), *str(target.get("version")).split(".")[:2])
    if needs.unsourced and here != there:
        return (
            f"{needs.unsourced[0]} was compiled by Python {'.'.join(here[1:])}, the target is "
            f"Python {'.'.join(there[1:])}, and the text of its cell is not known"
        )
    known = target.get("packages")
    if known is None:
        return None
    names = {each.partition(".")[0] for each in needs.modules | needs.owners}
    for name in sorted(names - _EVERYWHERE):
        if name not in known and not name.startswith("_") and not _is_standard(name):
            return f"the package {name} is not installed in the target's environment"
    return None


def explain_versions(packages: dict[str, str]) -> str | None:
    """Return which packages are of another version here than where something was made."""
    differing = [
        f"{name} {version} there, {version_of(name)} here"
        for name, version in packages.items()
        if version_of(name) and version_of(name).split(".")[:2] != version.split(".")[:2]
    ]
    return f"made with another version: {'; '.join(differing)}" if differing else None
