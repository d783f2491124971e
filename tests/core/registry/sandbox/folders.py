"""Folders of models made by hand, so that a test says in a few lines what its model does."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

COLUMNS = [
    {"type": "double", "name": "a", "required": True},
    {"type": "double", "name": "b", "required": True},
]
EXAMPLE = {"columns": ["a", "b"], "data": [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]]}


def scripted(
    folder: Path, predict: str, load: str = "", outputs: list[Any] | None = None, example: Any = EXAMPLE
) -> Path:
    """Write a model whose loading and predicting run the given statements; ``rows`` is the input."""
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "scripted_loader.py").write_text(
        "import os, sys, time\n"
        "import numpy as np\n\n\n"
        "class Model:\n"
        "    def predict(self, rows, params=None):\n"
        f"{textwrap.indent(textwrap.dedent(predict).strip(), ' ' * 8)}\n\n\n"
        "def _load_pyfunc(path):\n"
        f"{textwrap.indent(textwrap.dedent(load).strip() or 'pass', ' ' * 4)}\n"
        "    return Model()\n"
    )
    (folder / "input_example.json").write_text(json.dumps(example))
    content: dict[str, Any] = {
        "flavors": {"python_function": {"loader_module": "scripted_loader", "code": "code"}},
        "signature": {"inputs": json.dumps(COLUMNS), "outputs": json.dumps(outputs) if outputs else None},
    }
    if example is not None:
        content["saved_input_example_info"] = {
            "artifact_path": "input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        }
    # JSON is YAML too.
    (folder / "MLmodel").write_text(json.dumps(content))
    return folder
