"""What an artifact shows as: a table, an image, text, a JSON tree, or a sentence why not.

Nothing is executed, unpickled or rendered as markup. The content decides; the name only helps where the
content leaves a choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pandas as pd

from core.runs.artifacts.image_headers import image_header
from core.runs.artifacts.preview_tables import (
    NoTableError,
    TableHead,
    csv_table,
    json_table,
    parquet_table,
)
from core.runs.artifacts.preview_texts import MAX_TREE_LENGTH, NoTreeError, decoded, read_json, read_yaml

MAX_PREVIEW_BYTES = 20_000_000
MAX_TEXT_BYTES = 5_000_000
MAX_PIXELS = 50_000_000
_TABLES = frozenset({"csv", "tsv", "parquet", "json"})
_PICKLES = frozenset(
    {"pkl", "pickle", "joblib", "pt", "pth", "ckpt", "zip", "npy", "npz", "skops", "cloudpickle"}
)
_IMAGES = frozenset({"png", "jpg", "jpeg", "gif", "webp", "bmp"})
_YAML = frozenset({"yaml", "yml", "mlmodel", "mlproject"})
_PLAIN = frozenset(
    [
        "txt",
        "log",
        "ini",
        "cfg",
        "md",
        "py",
        "toml",
        "html",
        "htm",
        "svg",
        "xml",
        "sh",
        "sql",
        "js",
        "css",
        "r",
    ]
)
_MAGIC = (
    (b"PK\x03\x04", "a ZIP archive, as PyTorch and others use it to pack pickles"),
    (b"\x1f\x8b", "a compressed file"),
    (b"BZh", "a compressed file"),
    (b"\xfd7zXZ", "a compressed file"),
    (b"\x28\xb5\x2f\xfd", "a compressed file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
    *(
        (bytes((0x80, protocol)), "a pickle, which can run code when it is opened")
        for protocol in range(2, 6)
    ),
)


@dataclass(frozen=True, slots=True, eq=False)
class TablePreview:
    """A table; `frame` holds its first rows and columns, `total_rows` is None where not known."""

    frame: pd.DataFrame
    total_rows: int | None
    total_columns: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImagePreview:
    """A PNG, JPEG, GIF, WebP or BMP image, as it was stored; width and height in pixels."""

    data: bytes
    mime: str
    width: int
    height: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class TextPreview:
    """Plain text, never to be drawn as markup."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class JsonPreview:
    """A tree of dicts, lists, text, numbers, booleans and None, and the text it was read from."""

    value: dict[str, object] | list[object]
    text: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class UnsupportedPreview:
    """Something that is not shown; `note` says why and what to do."""

    note: str


Preview = TablePreview | ImagePreview | TextPreview | JsonPreview | UnsupportedPreview


def preview_limit(path: str) -> int:
    """Tell how many bytes of an artifact to give to `preview`, by its name: more for tables and images."""
    return MAX_PREVIEW_BYTES if _extension(path) in _TABLES | _IMAGES else MAX_TEXT_BYTES


def preview(path: str, data: bytes, truncated: bool) -> Preview:
    """Turn the bytes of an artifact into what a page shows. Raises nothing, whatever the bytes are.

    Parameters
    ----------
    path : str
        Name of the artifact.
    data : bytes
        The file, or its beginning.
    truncated : bool
        Whether there is more of the file.
    """
    extension = _extension(path)
    if len(data) > MAX_PREVIEW_BYTES:
        data, truncated = data[:MAX_PREVIEW_BYTES], True
    image = image_header(data)
    if image is not None:
        if truncated:
            return UnsupportedPreview("The image is too large to be shown. Download it instead.")
        if not image.width or not image.height:
            return UnsupportedPreview("The image is damaged: its header tells no size. Download it instead.")
        if image.width * image.height > MAX_PIXELS:
            return UnsupportedPreview(
                f"The image has {image.width:,} by {image.height:,} pixels, too many to be shown. Download it."
            )
        return ImagePreview(data, image.mime, image.width, image.height)
    if data.startswith(b"PAR1") and (extension == "parquet" or data.endswith(b"PAR1")):
        return _parquet(data, truncated)
    if extension in _PICKLES:
        return UnsupportedPreview(
            f"A .{extension} file can run code when it is opened, so Greenroom never opens one. "
            "Download it if you trust where it comes from."
        )
    kind = next((words for magic, words in _MAGIC if data.startswith(magic)), "")
    text = None if kind else decoded(data, truncated)
    if text is None:
        return UnsupportedPreview(
            f"This is {kind or 'a binary file'}, which Greenroom does not open. Download it instead."
        )
    return _of_text(extension, *text, truncated)


def _of_text(extension: str, text: str, note: str, truncated: bool) -> Preview:
    first = text[:1_000].lstrip()[:1]
    if extension in _PLAIN or first == "<":  # markup under another name is text as well
        return _text(text, note, truncated)
    if extension == "json" or first in ("{", "["):
        found = _json(text, truncated)
        if not isinstance(found, str):
            return _noted(found, note)
        if extension == "json":
            return _text(text, f"{note} {found}", truncated)
    if extension in _YAML:
        found = _yaml(text, truncated)
        if not isinstance(found, str):
            return _noted(found, note)
        return _text(text, f"{note} {found}", truncated)
    if extension in ("csv", "tsv"):
        try:
            return _table(csv_table(text, truncated=truncated), note, truncated)
        except NoTableError as error:
            return _text(text, f"{note} It cannot be read as a table: {error}.", truncated)
    if extension in _IMAGES or extension == "parquet":
        note = f"{note} The name ends in .{extension}, but the content is text."
    return _text(text, note, truncated)


def _parquet(data: bytes, truncated: bool) -> TablePreview | UnsupportedPreview:
    if truncated:
        return UnsupportedPreview("The Parquet file is too large to be shown. Download it instead.")
    try:
        return _table(parquet_table(data), "", truncated)
    except NoTableError as error:
        return UnsupportedPreview(f"The Parquet file cannot be read: {error}. Download it to look at it.")


def _json(text: str, truncated: bool) -> JsonPreview | TablePreview | str:
    """Give a table, a tree, or why it is neither."""
    if truncated:
        return "It is shown as text."
    try:
        value = read_json(text)
    except NoTreeError as error:
        return f"It is shown as text: {error}."
    table = json_table(value)
    if table is not None:
        return _table(table, "", truncated)
    if len(text) > MAX_TREE_LENGTH:
        return "It is too long for a tree, so it is shown as text."
    if not isinstance(value, (dict, list)):
        return ""
    return JsonPreview(value, text)


def _yaml(text: str, truncated: bool) -> JsonPreview | str:
    """Give a tree, or why there is none."""
    if truncated:
        return "It is shown as text."
    try:
        value = read_yaml(text)
    except NoTreeError as error:
        return f"It is shown as text: {error}."
    return JsonPreview(value, text) if isinstance(value, (dict, list)) else ""


def _table(table: TableHead, note: str, truncated: bool) -> TablePreview:
    said = [note]
    rows, columns = table.frame.shape
    if truncated:
        said.append("Only the beginning of the file was read.")
    if table.total_rows is not None and table.total_rows > rows:
        said.append(f"The first {rows:,} of {table.total_rows:,} rows are shown.")
    elif table.total_rows is None:
        said.append(f"The first {rows:,} rows are shown.")
    if table.total_columns > columns:
        said.append(f"The first {columns:,} of {table.total_columns:,} columns are shown.")
    return TablePreview(table.frame, table.total_rows, table.total_columns, " ".join(filter(None, said)))


def _text(text: str, note: str, truncated: bool) -> TextPreview:
    if not text:
        note = "The file is empty."
    elif truncated or len(text) > MAX_TEXT_BYTES:
        text = text[:MAX_TEXT_BYTES]
        note = f"{note} Only the beginning is shown."
    return TextPreview(text, note.strip())


def _noted(found: JsonPreview | TablePreview, note: str) -> JsonPreview | TablePreview:
    return replace(found, note=f"{note} {found.note}".strip())


def _extension(path: str) -> str:
    """Give what follows the last dot, in lower case; the whole name where there is none, as in MLmodel."""
    return path.rpartition("/")[2].rpartition(".")[2].lower()
