"""Runs a training script of the demo in a process of its own and hears how far it has come."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from core.errors import SourceError
from core.redaction import redact


def run_script(
    module: str, plans: Mapping[str, Any], tracking_uri: str, what: str, on_line: Callable[[str], None]
) -> None:
    """Run ``python -m MODULE PLANS`` with the tracking store in MLFLOW_TRACKING_URI.

    Parameters
    ----------
    plans : mapping
        Written as JSON to the file that the script is given.
    what : str
        What it logs, for the sentence that says why it could not.
    on_line : callable
        Told each line that the script prints.

    Raises
    ------
    SourceError
        If the process fails, with the last thing it said.
    """
    with tempfile.TemporaryDirectory(prefix="greenroom-demo-") as folder:
        file = Path(folder) / "plans.json"
        file.write_text(json.dumps(plans), encoding="utf-8")
        said = Path(folder) / "stderr.txt"
        # What could not be sent need not be kept: a half-built experiment is built again.
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("GREENROOM_")},
            "MLFLOW_TRACKING_URI": tracking_uri,
            "GREENROOM_HOME": folder,
        }
        command = [sys.executable, "-m", module, str(file)]
        with (
            said.open("w", encoding="utf-8") as errors,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment, cwd=folder
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101
            for line in process.stdout:
                on_line(line.strip())
        if process.returncode:
            lines = said.read_text(encoding="utf-8").strip().splitlines()
            reason = lines[-1] if lines else f"exit code {process.returncode}"
            raise SourceError(f"The demo's {what} could not be logged: {redact(reason)}")
