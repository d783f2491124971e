"""Who acts, and what each role may do. Checked in the core at every write."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.errors import RefusedError


class Role(StrEnum):
    """The four roles; each may do what the one before it may, and more."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    LEAD = "lead"
    ADMIN = "admin"


class Permission(StrEnum):
    """What needs a role, in words that fit behind "may not"."""

    REGISTER = "register a model version"
    STAGE = "move a version to Staging"
    REQUEST = "ask for a promotion"
    ARCHIVE = "archive a version"
    DECIDE = "approve or reject a request"
    PROMOTE = "promote to Production"
    ROLL_BACK = "roll back"
    OVERRIDE = "override a gate"
    LAUNCH = "launch a training"
    STOP = "stop a training"
    SCHEDULE = "schedule retraining"
    RETAIN = "remove old versions and runs"
    TOKENS = "make or revoke tokens"


_LEAST: Final = {
    Permission.REGISTER: Role.ANALYST,
    Permission.STAGE: Role.ANALYST,
    Permission.REQUEST: Role.ANALYST,
    Permission.ARCHIVE: Role.LEAD,
    Permission.DECIDE: Role.LEAD,
    Permission.PROMOTE: Role.LEAD,
    Permission.ROLL_BACK: Role.LEAD,
    Permission.OVERRIDE: Role.LEAD,
    Permission.LAUNCH: Role.ANALYST,
    Permission.STOP: Role.ANALYST,
    Permission.SCHEDULE: Role.LEAD,
    Permission.RETAIN: Role.LEAD,
    Permission.TOKENS: Role.ADMIN,
}
_ORDER: Final = tuple(Role)


@dataclass(frozen=True, slots=True)
class Actor:
    """A person and the role in which they act."""

    name: str
    role: Role

    def may(self, permission: Permission) -> bool:
        """Say whether the role is enough."""
        return _ORDER.index(self.role) >= _ORDER.index(_LEAST[permission])

    def require(self, permission: Permission) -> None:
        """Do nothing where the role is enough.

        Raises
        ------
        RefusedError
            Where it is not; it names the role that would be.
        """
        if not self.may(permission):
            raise RefusedError(
                f"{self.name} acts as {self.role} and may not {permission}: that takes the role {_LEAST[permission]}."
            )
