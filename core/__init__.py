"""Greenroom's core: everything that is true without a screen.

>>> from core import open_workspace
>>> workspace = open_workspace(tracking_uri="sqlite:///mlflow.db")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.registry.checkpoints.manager import ModelManager
    from core.workspace import Workspace, open_workspace

__all__ = ["ModelManager", "Workspace", "open_workspace"]

_HOMES = {
    "ModelManager": "core.registry.checkpoints.manager",
    "Workspace": "core.workspace",
    "open_workspace": "core.workspace",
}


def __getattr__(name: str) -> Any:
    # Training scripts import parts of this package: they must not pay for all of it.
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'core' has no attribute '{name}'")
