"""Settings: the one reader of the environment and of greenroom.toml.

Precedence, highest first: environment, greenroom.toml (or arguments given in code), the embedded default.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from core.access import Role
from core.errors import BadInputError
from core.forecasts.bands import DEFAULT_THRESHOLDS, Threshold, read_thresholds
from core.registry.gates.configuration import DEFAULT_BOOK, GateBook, read_gates
from core.registry.monitoring.configuration import WatchBook, read_watch
from core.registry.retention.configuration import RetentionSettings, read_retention
from core.training.configuration import DEFAULT_TRAINING, TrainingSettings, read_training
from core.training.projects.settings import read_projects
from core.training.projects.types import ProjectSetting

_ENVIRONMENT = {
    "MLFLOW_TRACKING_URI": "tracking_uri",
    "GREENROOM_BACKEND_URI": "backend_uri",
    "GREENROOM_HOME": "home",
    "GREENROOM_DATABASE_URI": "database_uri",
    "GREENROOM_HOST": "host",
    "GREENROOM_PORT": "port",
    "GREENROOM_USER": "user",
    "GREENROOM_ROLE": "role",
}
CONFIG_VARIABLE = "GREENROOM_CONFIG"
_OF_JOBS = ("GREENROOM_JOB", "GREENROOM_JOB_DIR", "GREENROOM_PROGRESS")
"""What a job is told by who runs it; no settings."""
_RETENTION = RetentionSettings()
_NOT_WATCHED = WatchBook()


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """The table ``[registry]``.

    Attributes
    ----------
    two_person_rule : bool
        Whoever asks for a promotion does not approve it, and Production is reached through a request alone.
    act_for_others : bool
        Whether ``--by`` may name somebody else than who acts.
    """

    two_person_rule: bool = False
    act_for_others: bool = False


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The table ``[api]``.

    Attributes
    ----------
    rl_agent_model : str or None
        The model that ``/api/rl-agent/...`` is about.
    local_without_token : bool
        Whether programs on this machine may ask without a token. Behind a proxy on the same machine that does not say
        for whom it asks, everybody would be such a program.
    """

    rl_agent_model: str | None = None
    local_without_token: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set.

    Attributes
    ----------
    tracking_uri : str or None
        MLflow's tracking URI; None means the embedded store in `home`.
    backend_uri : str or None
        The database behind an MLflow server, read-only, for the fast path.
    home : Path
        Where the index, Greenroom's database and the embedded store are kept.
    database_uri : str or None
        Greenroom's own database; None means SQLite in `home`.
    artifact_roots : mapping of str to str
        Where artifacts have moved: old root to new root.
    max_preview_mb, max_download_mb : int
        Largest artifact that a page shows, and that it hands over through the browser, in MiB.
    max_table_mb : int
        Largest logged table that is read as a backtest, in MiB.
    max_model_mb : int
        Largest model that is fetched to be load-tested, all its files together, in MiB.
    user, role : str or None
        Who acts, and as what; None means the operating system's user, with every role.
    registry : RegistrySettings
    gates : GateBook
        What a version must pass before it moves up.
    retention : RetentionSettings
        What is old enough to go.
    watch : WatchBook
        What a model's live figures must reach.
    training : TrainingSettings
    projects : tuple of ProjectSetting
        What can be launched besides the built-in project.
    api : ApiSettings
    quality : tuple of Threshold
        What a store's forecast must reach for each quality band.
    refresh_seconds : float
        How often an open page looks for new runs, in seconds.
    place : str
        Where the settings were read from, for people.
    """

    tracking_uri: str | None = None
    backend_uri: str | None = None
    home: Path = Path(".greenroom")
    database_uri: str | None = None
    host: str = "127.0.0.1"
    port: int = 8501
    artifact_roots: Mapping[str, str] = field(default_factory=dict)
    max_preview_mb: int = 20
    max_download_mb: int = 200
    max_table_mb: int = 100
    max_model_mb: int = 2048
    user: str | None = None
    role: str | None = None
    registry: RegistrySettings = RegistrySettings()
    gates: GateBook = DEFAULT_BOOK
    retention: RetentionSettings = _RETENTION
    watch: WatchBook = _NOT_WATCHED
    training: TrainingSettings = DEFAULT_TRAINING
    projects: tuple[ProjectSetting, ...] = ()
    api: ApiSettings = ApiSettings()
    quality: tuple[Threshold, ...] = DEFAULT_THRESHOLDS
    refresh_seconds: float = 2.0
    place: str = "defaults"

    @property
    def effective_tracking_uri(self) -> str:
        """The tracking URI, the embedded default included."""
        return self.tracking_uri or self._embedded_uri

    @property
    def is_embedded(self) -> bool:
        """Whether the store is the one in `home`, named or not."""
        return self.effective_tracking_uri == self._embedded_uri

    @property
    def _embedded_uri(self) -> str:
        return f"sqlite:///{(self.home / 'mlflow.db').resolve()}"


_KEYS = {one.name: one for one in fields(Settings) if one.name != "place"}
_NUMBERS: dict[str, tuple[type, float, float]] = {
    "port": (int, 1, 65535),
    "max_preview_mb": (int, 1, 1024),
    "max_download_mb": (int, 1, 4096),
    "max_table_mb": (int, 1, 4096),
    "max_model_mb": (int, 1, 65536),
    "refresh_seconds": (float, 0.5, 3600),
}


def read_settings(
    environment: Mapping[str, str] | None = None, folder: Path | None = None, **arguments: Any
) -> Settings:
    """Read all settings.

    Parameters
    ----------
    environment : mapping, optional
        Instead of the process's own.
    folder : Path, optional
        Where greenroom.toml is looked for, instead of the current folder.
    **arguments
        Fields of `Settings` given in code; those that are None are ignored. They stand where greenroom.toml
        stands, so that MLFLOW_TRACKING_URI wins over them.

    Raises
    ------
    BadInputError
        For an unknown key or a value that cannot be used: it names key, place and accepted values.
    """
    environment = os.environ if environment is None else environment
    settings = Settings()
    place, table = _config_file(environment, folder or Path.cwd())
    if table:
        settings = _merged(settings, table, place)
    given = {key: value for key, value in arguments.items() if value is not None}
    if given:
        settings = _merged(settings, given, "the arguments")
    return _merged(settings, _from_environment(environment), "the environment")


def override(settings: Settings, **arguments: Any) -> Settings:
    """Return settings with those replaced that were given on the command line; None leaves one as it is."""
    given = {key: value for key, value in arguments.items() if value is not None}
    return _merged(settings, given, "the command line")


def _config_file(environment: Mapping[str, str], folder: Path) -> tuple[str, dict[str, Any]]:
    named = environment.get(CONFIG_VARIABLE)
    path = Path(named) if named else folder / "greenroom.toml"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if named:
            raise BadInputError(
                f"{CONFIG_VARIABLE} names {path}, but there is no such file. Correct or unset it."
            ) from None
        return "defaults", {}
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return str(path), tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is no valid TOML: {error}.") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    for name in environment:
        if name.startswith("GREENROOM_") and name not in (*_ENVIRONMENT, CONFIG_VARIABLE, *_OF_JOBS):
            known = [one for one in (*_ENVIRONMENT, CONFIG_VARIABLE) if one.startswith("GREENROOM_")]
            raise BadInputError(
                f"The environment variable {name} is not known.{_hint(name, known)} "
                f"Accepted: {', '.join(sorted(known))}."
            )
    return {
        key: environment[variable] for variable, key in _ENVIRONMENT.items() if environment.get(variable, "")
    }


def _merged(settings: Settings, table: Mapping[str, Any], place: str) -> Settings:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise BadInputError(
                f"The key '{key}' in {place} is not known.{_hint(key, list(_KEYS))} "
                f"Accepted: {', '.join(sorted(_KEYS))}."
            )
        values[key] = _checked(key, value, place)
    given = ("the environment", "the arguments", "the command line")
    shown = place if place not in given else settings.place
    return replace(settings, **values, place=shown)


def _checked(key: str, value: Any, place: str) -> Any:
    if key in _NUMBERS:
        return _number(key, value, place)
    if key == "quality":
        if not isinstance(value, Mapping):
            raise BadInputError(
                f"quality in {place} must be a table such as excellent = {{ r2 = 0.8, smape = 10 }}."
            )
        return read_thresholds(value, place)
    if key == "gates":
        if isinstance(value, GateBook):
            return value
        if not isinstance(value, Mapping):
            raise BadInputError(f'gates in {place} must be a table of tables such as [gates."*"].')
        return read_gates(value, place)
    if key == "retention":
        return value if isinstance(value, RetentionSettings) else read_retention(value, place)
    if key == "watch":
        return value if isinstance(value, WatchBook) else read_watch(value, place)
    if key == "training":
        return value if isinstance(value, TrainingSettings) else read_training(value, place)
    if key == "projects":
        return value if isinstance(value, tuple) else read_projects(value, place)
    if key == "api":
        return value if isinstance(value, ApiSettings) else _api(value, place)
    if key == "registry":
        return value if isinstance(value, RegistrySettings) else _registry(value, place)
    if key == "role":
        return _role(value, place)
    if key == "artifact_roots":
        if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
            raise BadInputError(
                f"artifact_roots in {place} must be a table of old root = new root, both in quotes."
            )
        return dict(value)
    if key == "home" and isinstance(value, Path):
        return value.expanduser().resolve()
    if not isinstance(value, str) or not value.strip():
        raise BadInputError(f"{key} in {place} must be a text in quotes that is not empty, not {value!r}.")
    return Path(value.strip()).expanduser().resolve() if key == "home" else value.strip()


def _registry(value: Any, place: str) -> RegistrySettings:
    known = [one.name for one in fields(RegistrySettings)]
    if not isinstance(value, Mapping):
        raise BadInputError(f"registry in {place} must be a table such as two_person_rule = true.")
    for key, given in value.items():
        if key not in known:
            raise BadInputError(
                f"The key 'registry.{key}' in {place} is not known.{_hint(key, known)} Accepted: {', '.join(known)}."
            )
        if not isinstance(given, bool):
            raise BadInputError(f"registry.{key} in {place} is {given!r}; accepted is true or false.")
    return RegistrySettings(**value)


def _api(value: Any, place: str) -> ApiSettings:
    if not isinstance(value, Mapping):
        raise BadInputError(f'api in {place} must be a table such as rl_agent_model = "ppo_usdcop".')
    known = [one.name for one in fields(ApiSettings)]
    for key, given in value.items():
        if key not in known:
            raise BadInputError(
                f"The key 'api.{key}' in {place} is not known.{_hint(key, known)} Accepted: {', '.join(known)}."
            )
        if key == "local_without_token":
            if not isinstance(given, bool):
                raise BadInputError(f"api.{key} in {place} is {given!r}; accepted is true or false.")
        elif not isinstance(given, str) or not given.strip():
            raise BadInputError(
                f"api.{key} in {place} must be the name of a registered model, not {given!r}."
            )
    return ApiSettings(**value)


def _role(value: Any, place: str) -> str:
    roles = [str(one) for one in Role]
    text = value.strip().lower() if isinstance(value, str) else value
    if text not in roles:
        hint = _hint(str(text), roles)
        raise BadInputError(f"role in {place} is {value!r}; accepted are {', '.join(roles)}.{hint}")
    return str(text)


def _number(key: str, value: Any, place: str) -> int | float:
    kind, low, high = _NUMBERS[key]
    try:
        number = kind(value)
        fraction = isinstance(value, float) and number != value
        if isinstance(value, bool) or fraction or not low <= number <= high:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        shape = "a whole number" if kind is int else "a number"
        raise BadInputError(
            f"{key} in {place} is {value!r}; accepted is {shape} from {low:g} to {high:g}."
        ) from None
    return kind(number)  # type: ignore[no-any-return]


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""
