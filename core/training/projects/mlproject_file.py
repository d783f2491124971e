"""Find a project's MLproject file and parse its YAML, whatever it may hold."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Final

import yaml

from core.errors import BadInputError, NotFoundError

MAX_BYTES: Final = 1_000_000
_FILE_NAME: Final = "mlproject"
# Beside its own errors, PyYAML lets these out of values such as 2024-13-45, `!!timestamp x` and `!!bool x`.
_OF_YAML_VALUES: Final = (ValueError, ArithmeticError, LookupError, AttributeError, TypeError, RecursionError)


def find_file(project: str, folder: Path) -> Path | None:
    """Return the MLproject file of a project's folder, its name in any case, or None.

    Raises
    ------
    NotFoundError
        If there is no such folder.
    BadInputError
        If it cannot be looked into.
    """
    try:
        # The first in the order of the folder, as MLflow takes it where there are two.
        return next((one for one in folder.iterdir() if one.name.lower() == _FILE_NAME), None)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"The project '{project}': there is no folder {folder}. Correct its source in greenroom.toml."
        ) from None
    except OSError as error:
        raise BadInputError(f"The project '{project}': {folder} cannot be read: {error.strerror}.") from error


def read_table(whose: str, folder: Path, path: Path) -> dict[Any, Any]:
    """Parse an MLproject file.

    Parameters
    ----------
    whose : str
        How an error names the project and the file.

    Raises
    ------
    BadInputError
    """
    text = _read_text(whose, folder, path)
    try:
        table = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInputError(f"{whose} is no valid YAML{_reason(error, text)}. Correct the file.") from error
    except _OF_YAML_VALUES as error:
        raise BadInputError(
            f"{whose} is no valid YAML: a value in it cannot be read ({type(error).__name__}: {str(error)[:200]}). "
            "Correct the file."
        ) from error
    if not isinstance(table, dict):
        raise BadInputError(f"{whose} must hold a table with the key entry_points. Correct the file.")
    return table


def _read_text(whose: str, folder: Path, path: Path) -> str:
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BadInputError(
                f"{whose} is a link that leads out of the project's folder. Replace it by a file."
            )
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BadInputError(f"{whose} is no file. Replace it by one.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{whose} is not there. Put it there, or correct the project's source.") from None
    except (OSError, RuntimeError) as error:
        raise BadInputError(f"{whose} cannot be read: {error}.") from error
    if len(content) > MAX_BYTES:
        raise BadInputError(f"{whose} is larger than {MAX_BYTES:,} bytes, which no MLproject file is.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadInputError(f"{whose} is no UTF-8 text (line {line}). Save it as UTF-8.") from error


def _reason(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        return f"{where}: {error.problem or error.context}"
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, int(error.position)) + 1
        return f" (line {line}): {error.reason}"
    return ""
