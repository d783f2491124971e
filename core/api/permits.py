"""Refuse whoever's role is not enough, before anything is done."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import HTTPException

from core.access import Actor, Permission
from core.errors import RefusedError


def permit(by: Actor, permission: Permission) -> None:
    """Do nothing where the role is enough.

    The desks check it themselves; here it becomes an answer of its own, apart from what rules refuse.

    Raises
    ------
    HTTPException
        403, with the sentence that names the role that would be enough.
    """
    try:
        by.require(permission)
    except RefusedError as error:
        raise HTTPException(HTTPStatus.FORBIDDEN, str(error)) from error
