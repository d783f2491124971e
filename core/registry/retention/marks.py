"""The tags by which retention goes: what counts as gone, what is a baseline, what is on legal hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from core.registry.types import Version

DELETED_TAG: Final = "greenroom.deleted_at"
"""Tag of a version that was removed and can still be brought back; its value is when it went."""

BASELINE_TAG: Final = "greenroom.baseline"
"""Tag of a version or a run that others are compared with, so that it stays."""

LEGAL_HOLD_TAG: Final = "greenroom.legal_hold"
"""Tag of a version, a model or a run that must not be removed."""


def is_gone(version: Version) -> bool:
    """Say whether a version counts as removed, though MLflow still has it."""
    return DELETED_TAG in version.tags


def is_marked(tags: Mapping[str, str], key: str) -> bool:
    """Say whether a tag is set to anything but ``false``."""
    value = tags.get(key)
    return value is not None and value.strip().lower() != "false"
