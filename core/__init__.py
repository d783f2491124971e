"""Greenroom's core: everything that is true without a screen.

>>> from core import open_workspace
>>> workspace = open_workspace(tracking_uri="sqlite:///mlflow.db")
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.workspace import Workspace, open_workspace

__all__ = ["Workspace", "open_workspace"]


def __getattr__(name: str) -> Any:
    # Training scripts import parts of this package: they must not pay for all of it.
    if name in __all__:
        from core import workspace

        return getattr(workspace, name)
    raise AttributeError(f"module 'core' has no attribute '{name}'")
