"""What a tracking URI points at, said without its password."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from core.errors import BadInputError
from core.redaction import redact


class StoreKind(StrEnum):
    """The kinds of tracking store that MLflow has and Greenroom reads."""

    HTTP = "http"
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    OTHER_SQL = "other-sql"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A tracking URI, understood.

    Attributes
    ----------
    uri : str
        The URI in the form MLflow takes, local paths made absolute. May hold a password: never show it.
    path : Path or None
        The SQLite file, or the folder of a file store.
    """

    kind: StoreKind
    uri: str
    path: Path | None = None

    @property
    def shown(self) -> str:
        """The URI for people: passwords and tokens replaced by ***."""
        return redact(self.uri)

    @property
    def key(self) -> str:
        """A short name of the store: the same for the same store, a new password included, else another."""
        return hashlib.sha256(self.shown.encode()).hexdigest()[:16]

    @property
    def folder(self) -> Path | None:
        """Where artifacts kept beside the store are looked for."""
        if self.path is None:
            return None
        return self.path.parent if self.kind is StoreKind.SQLITE else self.path


def parse(uri: str) -> StoreAddress:
    """Understand a tracking URI or a plain path.

    Raises
    ------
    BadInputError
        If the scheme is none that can be read.
    """
    text = uri.strip()
    if not text:
        raise BadInputError("The tracking URI is empty. Give a URL, a database URI or a folder.")
    scheme = text.split(":", 1)[0].lower() if ":" in text else ""
    if scheme in ("http", "https"):
        return StoreAddress(StoreKind.HTTP, text.rstrip("/"))
    base_scheme = scheme.split("+", 1)[0]
    if base_scheme == "sqlite":
        return _sqlite(text)
    if base_scheme in ("postgresql", "postgres"):
        return StoreAddress(StoreKind.POSTGRESQL, "postgresql:" + text.split(":", 1)[1])
    if base_scheme in ("mysql", "mssql"):
        return StoreAddress(StoreKind.OTHER_SQL, text)
    if scheme == "file":
        return _file(Path(url2pathname(urlsplit(text).path)))
    if scheme == "" or len(scheme) == 1 or "/" in scheme or Path(text).exists():
        path = Path(text).expanduser()
        if path.suffix in (".db", ".sqlite", ".sqlite3") or path.is_file():
            return StoreAddress(StoreKind.SQLITE, f"sqlite:///{path.resolve()}", path.resolve())
        return _file(path)
    raise BadInputError(
        f"The tracking URI {redact(text)} starts with '{scheme}:', which Greenroom cannot read. "
        "Accepted: http(s)://, sqlite:///, postgresql://, mysql://, mssql://, file: or a folder."
    )


def _sqlite(text: str) -> StoreAddress:
    rest = text.split(":", 1)[1].partition("?")[0]
    if not rest.startswith("///") or len(rest) == 3:
        raise BadInputError(
            f"The tracking URI {redact(text)} names no file. Write sqlite:///relative/path.db or "
            "sqlite:////absolute/path.db."
        )
    path = Path(unquote(rest[3:])).expanduser().resolve()
    return StoreAddress(StoreKind.SQLITE, f"sqlite:///{path}", path)


def _file(path: Path) -> StoreAddress:
    absolute = path.expanduser().resolve()
    return StoreAddress(StoreKind.FILE, absolute.as_uri(), absolute)
