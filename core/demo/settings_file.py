"""The settings of the demo: the gates of its models, in a file beside its stores."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from core.demo.model_plans import ModelPlan

NAME: Final = "demo.toml"


def write_settings(home: Path, plans: Sequence[ModelPlan]) -> Path:
    """Write the gates of the demo's models as greenroom.toml has them; return the file."""
    lines = ["# The gates of the demo's models. A greenroom.toml of your own is read instead of this file."]
    for plan in plans:
        lines += ["", f"[gates.{json.dumps(plan.name)}]"]
        lines += [f"{key} = {_toml(value)}" for key, value in plan.gates.items()]
    home.mkdir(parents=True, exist_ok=True)
    handle, new = tempfile.mkstemp(dir=home, prefix=NAME)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("\n".join([*lines, ""]))
    return Path(new).replace(home / NAME)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(one)}" for key, one in value.items()) + " }"
    # Numbers, truth values, texts and lists of them are written alike in both.
    return json.dumps(value)
