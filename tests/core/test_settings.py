"""Where settings come from, which one wins, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from core.errors import BadInputError
from core.settings import read_settings


def config(folder: Path, text: str) -> Path:
    path = folder / "greenroom.toml"
    path.write_text(text)
    return path


def refusal(folder: Path, environment: dict[str, str] | None = None, **arguments: Any) -> str:
    with pytest.raises(BadInputError) as caught:
        read_settings(environment or {}, folder, **arguments)
    return str(caught.value)


def test_without_anything_the_store_is_the_embedded_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({})
    assert settings.is_embedded
    assert settings.effective_tracking_uri == f"sqlite:///{tmp_path}/.greenroom/mlflow.db"
    assert settings.place == "defaults"


def test_the_embedded_store_moves_with_the_home_folder(tmp_path: Path) -> None:
    settings = read_settings({"GREENROOM_HOME": str(tmp_path / "a")}, tmp_path)
    assert settings.effective_tracking_uri == f"sqlite:///{tmp_path}/a/mlflow.db"
    assert settings.is_embedded


def test_the_file_wins_over_the_default(tmp_path: Path) -> None:
    path = config(tmp_path, 'tracking_uri = "sqlite:///file.db"\nport = 9000')
    settings = read_settings({}, tmp_path)
    assert (settings.tracking_uri, settings.port) == ("sqlite:///file.db", 9000)
    assert settings.place == str(path)
    assert not settings.is_embedded


def test_arguments_win_over_the_file(tmp_path: Path) -> None:
    config(tmp_path, 'tracking_uri = "sqlite:///file.db"\nport = 9000')
    settings = read_settings({}, tmp_path, tracking_uri="sqlite:///argument.db", port=None)
    assert (settings.tracking_uri, settings.port) == ("sqlite:///argument.db", 9000)


def test_the_environment_wins_over_file_and_arguments(tmp_path: Path) -> None:
    config(tmp_path, 'tracking_uri = "sqlite:///file.db"\nport = 9000\nhost = "::1"')
    environment = {"MLFLOW_TRACKING_URI": "http://environment:5000", "GREENROOM_PORT": "9002"}
    settings = read_settings(environment, tmp_path, tracking_uri="sqlite:///argument.db", port=9001)
    assert (settings.tracking_uri, settings.port) == ("http://environment:5000", 9002)
    assert settings.host == "::1"


def test_every_environment_variable_reaches_its_setting(tmp_path: Path) -> None:
    environment = {
        "MLFLOW_TRACKING_URI": "http://a",
        "GREENROOM_BACKEND_URI": "postgresql://b/c",
        "GREENROOM_HOME": str(tmp_path / "home"),
        "GREENROOM_DATABASE_URI": "postgresql://d/e",
        "GREENROOM_HOST": "0.0.0.0",
        "GREENROOM_PORT": "81",
    }
    settings = read_settings(environment, tmp_path)
    assert settings.tracking_uri == "http://a"
    assert settings.backend_uri == "postgresql://b/c"
    assert settings.home == tmp_path / "home"
    assert settings.database_uri == "postgresql://d/e"
    assert (settings.host, settings.port) == ("0.0.0.0", 81)


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    config(tmp_path, "port = 9000")
    environment = {"MLFLOW_TRACKING_URI": "", "GREENROOM_PORT": "", "GREENROOM_CONFIG": ""}
    settings = read_settings(environment, tmp_path)
    assert settings.is_embedded
    assert settings.port == 9000


def test_variables_of_others_are_left_alone(tmp_path: Path) -> None:
    assert read_settings({"MLFLOW_EXPERIMENT_NAME": "x", "PATH": "/bin"}, tmp_path).is_embedded


def test_a_named_config_file_is_read_instead_of_the_one_in_the_folder(tmp_path: Path) -> None:
    config(tmp_path, "port = 9000")
    other = tmp_path / "other.toml"
    other.write_text("port = 9009")
    settings = read_settings({"GREENROOM_CONFIG": str(other)}, tmp_path)
    assert (settings.port, settings.place) == (9009, str(other))


@pytest.mark.parametrize("where", ["file", "arguments", "environment"])
def test_a_relative_home_is_made_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if where == "file":
        config(tmp_path, 'home = "sub/../place"')
        settings = read_settings({})
    elif where == "arguments":
        settings = read_settings({}, home=Path("place"))
    else:
        settings = read_settings({"GREENROOM_HOME": "./place"})
    assert settings.home == tmp_path / "place"


def test_artifact_roots_are_a_table_of_texts(tmp_path: Path) -> None:
    config(tmp_path, '[artifact_roots]\n"file:///C:/old" = "/new"')
    assert read_settings({}, tmp_path).artifact_roots == {"file:///C:/old": "/new"}
    config(tmp_path, '[artifact_roots]\n"old" = 3')
    assert "artifact_roots" in refusal(tmp_path)
    config(tmp_path, 'artifact_roots = "x"')
    assert "old root = new root" in refusal(tmp_path)


def test_an_unknown_key_is_refused_with_place_hint_and_what_is_accepted(tmp_path: Path) -> None:
    path = config(tmp_path, 'traking_uri = "x"')
    message = refusal(tmp_path)
    assert f"'traking_uri' in {path}" in message
    assert "Did you mean tracking_uri?" in message
    assert "Accepted: api, artifact_roots, backend_uri, database_uri, gates, home, host" in message


def test_a_key_like_nothing_known_gets_no_hint(tmp_path: Path) -> None:
    config(tmp_path, "zzz = 1")
    message = refusal(tmp_path)
    assert "'zzz'" in message
    assert "Did you mean" not in message


def test_place_cannot_be_set(tmp_path: Path) -> None:
    config(tmp_path, 'place = "moon"')
    assert "'place'" in refusal(tmp_path)


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, prot=1)
    assert "'prot' in the arguments" in message
    assert "Did you mean port?" in message


def test_an_unknown_variable_is_refused_with_hint_and_what_is_accepted(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"GREENROOM_BACKEND_URL": "x"})
    assert "environment variable GREENROOM_BACKEND_URL is not known" in message
    assert "Did you mean GREENROOM_BACKEND_URI?" in message
    assert "GREENROOM_CONFIG, GREENROOM_DATABASE_URI" in message


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("port = 0", "a whole number from 1 to 65535"),
        ("port = 65536", "a whole number from 1 to 65535"),
        ("port = true", "a whole number from 1 to 65535"),
        ('port = "many"', "a whole number from 1 to 65535"),
        ("port = 80.9", "a whole number from 1 to 65535"),
        ("port = inf", "a whole number from 1 to 65535"),
        ("port = [1]", "a whole number from 1 to 65535"),
        ("max_preview_mb = 0", "a whole number from 1 to 1024"),
        ("max_preview_mb = 1025", "a whole number from 1 to 1024"),
        ("max_download_mb = 4097", "a whole number from 1 to 4096"),
        ("refresh_seconds = 0.4", "a number from 0.5 to 3600"),
        ("refresh_seconds = 3601", "a number from 0.5 to 3600"),
        ("refresh_seconds = nan", "a number from 0.5 to 3600"),
    ],
)
def test_a_number_out_of_range_is_refused_with_the_range(tmp_path: Path, line: str, accepted: str) -> None:
    path = config(tmp_path, line)
    message = refusal(tmp_path)
    assert message.startswith(f"{line.split()[0]} in {path} is ")
    assert message.endswith(f"accepted is {accepted}.")


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("port = 1", 1),
        ("port = 65535", 65535),
        ('port = "8080"', 8080),
        ("max_preview_mb = 1024", 1024),
        ("max_download_mb = 4096", 4096),
        ("refresh_seconds = 0.5", 0.5),
        ("refresh_seconds = 3600", 3600.0),
    ],
)
def test_the_ends_of_a_range_are_accepted(tmp_path: Path, line: str, value: float) -> None:
    config(tmp_path, line)
    found = getattr(read_settings({}, tmp_path), line.split()[0])
    assert found == value
    assert type(found) is type(value)


def test_a_bad_number_in_the_environment_names_the_environment(tmp_path: Path) -> None:
    assert refusal(tmp_path, {"GREENROOM_PORT": "http"}).startswith("port in the environment is 'http'")


@pytest.mark.parametrize("line", ["tracking_uri = 5", 'host = "  "', "database_uri = []", 'home = ""'])
def test_a_text_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    path = config(tmp_path, line)
    assert f"{line.split()[0]} in {path} must be a text" in refusal(tmp_path)


def test_bad_toml_names_file_and_line(tmp_path: Path) -> None:
    path = config(tmp_path, "port = 9000\nhost = = 1\n")
    message = refusal(tmp_path)
    assert message.startswith(f"{path} is no valid TOML")
    assert "line 2" in message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "greenroom.toml").write_bytes(b"\xff\xfe\x00")
    assert "is no valid TOML" in refusal(tmp_path)


def test_a_missing_named_config_file_is_refused(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    message = refusal(tmp_path, {"GREENROOM_CONFIG": str(absent)})
    assert "GREENROOM_CONFIG" in message
    assert f"names {absent}, but there is no such file" in message


def test_a_config_file_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "greenroom.toml").mkdir()
    assert f"{tmp_path / 'greenroom.toml'} cannot be read" in refusal(tmp_path)
