"""Where a tracker sends its runs, what importing it costs, and what is on disk of an outbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import BadInputError
from core.tracking import MLflowTracker
from core.tracking.outbox import Outbox, folders
from core.tracking.values import artifact_path


def test_the_tracking_uri_is_that_of_the_first_place_that_names_one(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "mlflow_config.yaml"
    config.write_text('tracking_uri: "http://yaml:1"\ndefault_experiment_name: "from yaml"\n')
    assert MLflowTracker().tracking_uri == f"sqlite:///{home / 'mlflow.db'}"
    assert MLflowTracker().experiment_name == "Default"
    (tmp_path / "greenroom.toml").write_text('tracking_uri = "http://toml:1"')
    assert MLflowTracker().tracking_uri == "http://toml:1"
    assert MLflowTracker(config_path=config).tracking_uri == "http://yaml:1"
    assert MLflowTracker(config_path=config).experiment_name == "from yaml"
    assert MLflowTracker("http://code:1", "in code", config).tracking_uri == "http://code:1"
    assert MLflowTracker("http://code:1", "in code", config).experiment_name == "in code"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@env:1")
    assert MLflowTracker("http://code:1", None, config).tracking_uri == "http://me:***@env:1"


def test_a_second_tracker_is_not_sent_where_the_first_was(store: str, tmp_path: Path) -> None:
    first = MLflowTracker(store, "one")
    with first.start_run():
        pass
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert MLflowTracker("http://other:1").tracking_uri == "http://other:1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("tracking_url: x", "'tracking_url' in .* is not known. Accepted: tracking_uri"),
        ("tracking_uri: 5", "must be a text"),
        ("- a", "must be a table"),
        ("a: [", "no valid YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, content: str, message: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(content)
    with pytest.raises(BadInputError, match=message):
        MLflowTracker(config_path=config)
    with pytest.raises(BadInputError, match="cannot be read"):
        MLflowTracker(config_path=tmp_path / "missing.yaml")


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = (
        "import sys, core.tracking\n"
        "heavy = {'mlflow', 'pandas', 'polars', 'duckdb', 'sqlalchemy', 'streamlit', 'numpy', 'torch'}\n"
        "first = heavy & set(sys.modules)\n"
        "from core.tracking import MLflowLogger, MLflowTracker, sync_offline\n"
        "MLflowLogger('x')\n"
        "print(sorted(first | (heavy & set(sys.modules))))\n"
    )
    place = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": place},
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_torn_last_line_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    outbox = Outbox.create(tmp_path / "outbox")
    outbox.append({"op": "run", "n": 1})
    outbox.append({"op": "tags", "n": 2})
    folder = outbox.folder
    assert Outbox.take_over(folder) is None  # its process lives
    outbox.close()
    with (folder / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"op":"tags","n":3')
    taken = Outbox.take_over(folder)
    assert taken is not None
    assert [operation["n"] for operation, _, _ in taken.read(0)] == [1, 2]
    taken.state.offset = 5
    taken.save()
    assert json.loads((folder / "state.json").read_text())["offset"] == 5
    taken.remove()
    assert folders(tmp_path / "outbox") == [] and list((tmp_path / "outbox").iterdir()) == []


def test_paths_stay_inside_the_run() -> None:
    assert artifact_path("a/b.txt") == "a/b.txt"
    assert artifact_path(Path("a") / "b") == "a/b"
    for bad in ("", "/a", "a/../b", "./a", "a//b", "..\\a", None):
        with pytest.raises(BadInputError):
            artifact_path(bad)


def test_importing_a_tracker_loads_neither_mlflow_nor_a_library_of_tables() -> None:
    code = (
        "import sys; from core.tracking import MLflowLogger, MLflowTracker; "
        "print(sorted({'mlflow', 'polars', 'pandas', 'pyarrow', 'sqlalchemy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
