"""Texts that are longer than MLflow takes: cut with a mark, and kept whole for an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from core.tracking.values import text_of


class LongValues:
    """The long params, or the long tags, of one run."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._whole: dict[str, str] = {}
        self._changed = False

    def shorten(self, values: Mapping[str, Any]) -> dict[str, str]:
        """Return values as texts that MLflow takes."""
        from mlflow.utils import validation

        limit = validation.MAX_PARAM_VAL_LENGTH if self._kind == "param" else validation.MAX_TAG_VAL_LENGTH
        result = {}
        for key, value in values.items():
            text = text_of(value)
            if len(text) > limit:
                self._whole[key] = text
                self._changed = True
                mark = f" … [cut: {len(text):,} characters, whole in {self._kind}s/long_values.json]"
                text = text[: limit - len(mark)] + mark
            result[key] = text
        return result

    def take(self) -> str | None:
        """Return the artifact's content if it has changed since it was last taken."""
        if not self._changed:
            return None
        self._changed = False
        return json.dumps(self._whole, ensure_ascii=False, indent=1)
