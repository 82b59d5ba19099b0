"""Compile and import every module of the packages that are named, on an old Python.

It needs nothing but the standard library and runs on Python 3.9.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def import_all(name: str) -> int:
    """Import a module and all below it, ``__main__`` aside; return how many there were."""
    module = importlib.import_module(name)
    count = 1
    for info in pkgutil.iter_modules(getattr(module, "__path__", [])):
        if info.name == "__main__":
            source = Path(module.__path__[0]) / "__main__.py"
            compile(source.read_text(encoding="utf-8"), str(source), "exec")
            count += 1
        else:
            count += import_all(f"{name}.{info.name}")
    return count


if __name__ == "__main__":
    total = sum(import_all(name) for name in sys.argv[1:])
    print(f"{total} modules import on Python {sys.version_info[0]}.{sys.version_info[1]}")
