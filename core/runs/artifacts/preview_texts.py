"""Text made from the bytes of an artifact, and the trees that JSON and YAML text hold; safe on hostile input."""

from __future__ import annotations

import codecs
import json
from datetime import date

import yaml

MAX_TREE_LENGTH = 1_000_000
_MAX_DEPTH = 50
_MAX_YAML_EVENTS = 100_000
# Ten aliases make at most some forty times the text; a hundred could fill the memory.
_MAX_ALIASES = 10
_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\r\f\x1b"))
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SafeLoader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class NoTreeError(ValueError):
    """The text holds no tree that can be shown, for the reason given."""


def decoded(data: bytes, truncated: bool) -> tuple[str, str] | None:
    """Give the text and a note on its encoding; None when it is no text."""
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            try:
                return _decode(data, encoding, truncated), ""
            except UnicodeDecodeError:
                continue
    if b"\0" in data or len(data.translate(None, _CONTROLS)) < 0.95 * len(data):
        return None
    try:
        return _decode(data, "utf-8", truncated), ""
    except UnicodeDecodeError:
        note = "The text is not UTF-8; it was read as Latin-1, so some letters may be wrong."
        return data.decode("latin-1"), note


def read_json(text: str) -> object:
    """Parse JSON.

    Raises
    ------
    NoTreeError
    """
    try:
        value = json.loads(text)
        _check_tree(value)
    except NoTreeError:
        raise
    except RecursionError as error:
        raise NoTreeError("it is too deep for a tree") from error
    except ValueError as error:
        raise NoTreeError(f"it is not valid JSON, {str(error)[:200]}") from error
    return value


def read_yaml(text: str) -> object:
    """Parse YAML with the safe loader; dates become ISO text, as in JSON.

    Raises
    ------
    NoTreeError
        Also for tags, which a tree of plain values has no place for, and for what expands when it is loaded.
    """
    if len(text) > MAX_TREE_LENGTH:
        raise NoTreeError("it is too long for a tree")
    try:
        _check_yaml(text)
        value = yaml.load(text, Loader=_SafeLoader)  # noqa: S506 - libyaml's SafeLoader, or the pure one
        value = json.loads(json.dumps(value, default=_iso))
        _check_tree(value)
    except NoTreeError:
        raise
    # PyYAML lets the errors of its converters through, such as the month 13.
    except (yaml.YAMLError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise NoTreeError("it is no YAML of plain values") from error
    return value


def _check_yaml(text: str) -> None:
    """Refuse what takes long or grows when it is loaded; libyaml needs quadratic time for deep nesting."""
    depth = aliases = 0
    for count, event in enumerate(yaml.parse(text, Loader=_SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        elif isinstance(event, yaml.AliasEvent):
            aliases += 1
        elif isinstance(event, yaml.ScalarEvent) and _is_huge_number(event):
            raise NoTreeError("it has a number of more than a thousand digits")
        if depth > _MAX_DEPTH or aliases > _MAX_ALIASES or count > _MAX_YAML_EVENTS:
            raise NoTreeError("it is too deep or too long for a tree, or repeats itself by too many aliases")
        if getattr(event, "tag", None):
            raise NoTreeError("it has tags")


def _is_huge_number(event: yaml.ScalarEvent) -> bool:
    # PyYAML reads 1:1:1:... as a number to the base of 60, in quadratic time.
    return bool(event.implicit[0]) and len(event.value) > 1_000 and event.value[0] in "+-.0123456789"


def _check_tree(value: object) -> None:
    """Refuse a tree that could not be drawn: circular, too deep, or with text that is no Unicode."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise NoTreeError("it has text that is no Unicode") from error
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise NoTreeError(f"it is more than {_MAX_DEPTH} levels deep")
        level = [below for each in level if isinstance(each, (dict, list)) for below in _children(each)]


def _children(value: dict[str, object] | list[object]) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else value


def _iso(value: object) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in a tree")


def _decode(data: bytes, encoding: str, truncated: bool) -> str:
    # An incremental decoder leaves out a character that the cut went through.
    return codecs.getincrementaldecoder(encoding)().decode(data, final=not truncated)
