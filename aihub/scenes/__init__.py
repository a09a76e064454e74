"""What the project draws itself, with known truth: scenes for examples, tests and the demo.

Every drawing registers under a name, and cards refer to it as `drawn:NAME`.
"""

from __future__ import annotations

import importlib
import pkgutil


def load_scenes() -> None:
    """Import every module of this folder; importing registers what it draws."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
