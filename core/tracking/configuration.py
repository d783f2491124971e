"""Where a tracker sends its runs: environment, constructor, YAML file, greenroom.toml, the embedded store."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from core.errors import BadInputError
from core.runs.sources.uris import StoreKind, parse
from core.settings import Settings, read_settings

DEFAULT_EXPERIMENT = "Default"
_KEYS = ("tracking_uri", "default_experiment_name")


@dataclass(frozen=True, slots=True)
class Destination:
    """A tracking store and where Greenroom keeps what it has not yet sent to it.

    Attributes
    ----------
    uri : str
        As MLflow takes it, local paths made absolute. May hold a password: never show or store it.
    shown : str
        The same without its password.
    key : str
        A short name of the store, without the password.
    remote : bool
        Whether a server stands between: it may be down.
    outbox : Path
        Folder of the outboxes.
    artifact_root : Path or None
        Where new experiments of the embedded store keep their artifacts; None for any other store.
    """

    uri: str
    shown: str
    key: str
    remote: bool
    outbox: Path
    artifact_root: Path | None = None

    def artifact_location(self, experiment: str) -> str | None:
        """Return where a new experiment keeps its artifacts, or None where the store decides."""
        if self.artifact_root is None:
            return None
        return (self.artifact_root / quote(experiment, safe="")).as_uri()


def destination(settings: Settings) -> Destination:
    """Return where runs go under these settings."""
    address = parse(settings.effective_tracking_uri)
    home = settings.home.resolve()
    return Destination(
        uri=address.uri,
        shown=address.shown,
        key=address.key,
        remote=address.kind is StoreKind.HTTP,
        outbox=home / "outbox",
        artifact_root=home / "artifacts" if settings.is_embedded else None,
    )


def choose(
    tracking_uri: str | None = None,
    experiment_name: str | None = None,
    config_path: str | os.PathLike[str] | None = None,
) -> tuple[Destination, str]:
    """Decide where runs go and into which experiment.

    The tracking URI is that of MLFLOW_TRACKING_URI, else the argument, else that of the YAML file, else that of
    greenroom.toml, else Greenroom's embedded store. The experiment is the argument, else the file's
    ``default_experiment_name``, else MLFLOW_EXPERIMENT_NAME, else MLflow's "Default".

    Raises
    ------
    BadInputError
        If the file or a value cannot be used.
    """
    table = _read_yaml(Path(config_path)) if config_path is not None else {}
    settings = read_settings(tracking_uri=tracking_uri or table.get("tracking_uri"))
    name = experiment_name or table.get("default_experiment_name") or os.environ.get("MLFLOW_EXPERIMENT_NAME")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise BadInputError(f"The experiment name must be a text that is not empty, not {name!r}.")
    return destination(settings), name or DEFAULT_EXPERIMENT


def _read_yaml(path: Path) -> dict[str, str]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"The configuration file {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} is no valid YAML: {error}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise BadInputError(f"{path} must be a table of keys and values: {', '.join(_KEYS)}.")
    for key, value in content.items():
        if key not in _KEYS:
            raise BadInputError(f"The key '{key}' in {path} is not known. Accepted: {', '.join(_KEYS)}.")
        if not isinstance(value, str) or not value.strip():
            raise BadInputError(f"{key} in {path} must be a text that is not empty, not {value!r}.")
    return {key: value.strip() for key, value in content.items()}


def script_folder() -> Path:
    """Return the folder of the script that runs, or the current one."""
    main = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    return main.resolve().parent if main is not None and main.is_file() else Path.cwd()
