"""What the API says of itself: that it is there, its OpenAPI document, and that as a page to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from core.api.answers import answer

router = APIRouter(tags=["about"])

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color-scheme: light dark; }
h2 { margin: 2rem 0 .5rem; font-size: 1.05rem; text-transform: capitalize; }
section { border-top: 1px solid #8884; padding: .7rem 0; }
h3 { font: 600 .95rem ui-monospace, monospace; margin: 0; overflow-wrap: anywhere; }
h3 span { display: inline-block; min-width: 3.5rem; }
p { margin: .3rem 0; } table { border-collapse: collapse; font-size: .9rem; }
td { padding: .1rem .8rem .1rem 0; vertical-align: top; } code { font-family: ui-monospace, monospace; }
"""
# Nothing is loaded from anywhere, and no script runs.
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


@router.get("/health")
def health() -> Response:
    """Say that the API answers. Takes no token."""
    return answer({"status": "ok"})


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> Response:
    """Return the OpenAPI document."""
    return answer(_document(request))


@router.get("/docs", include_in_schema=False)
def docs(request: Request) -> Response:
    """Show the OpenAPI document as a page."""
    return HTMLResponse(page(_document(request)), headers={"content-security-policy": _POLICY})


def _document(request: Request) -> dict[str, Any]:
    """Return the document with the place where the API is mounted."""
    root = str(request.scope.get("root_path", "")).rstrip("/")
    return {**request.app.openapi(), "servers": [{"url": root or "/"}]}


def page(document: Mapping[str, Any]) -> str:
    """Return an OpenAPI document as a page of HTML that needs nothing from elsewhere."""
    info = document["info"]
    root = document["servers"][0]["url"].rstrip("/")
    title = escape(info["title"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"{_paragraphs(info['description'])}"
        f'<p>As an OpenAPI document: <a href="{escape(root)}/openapi.json">{escape(root)}/openapi.json</a></p>'
        f"{''.join(_sections(document, root))}</body></html>"
    )


def _sections(document: Mapping[str, Any], root: str) -> Iterator[str]:
    tag = None
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if operation["tags"][0] != tag:
                tag = operation["tags"][0]
                yield f"<h2>{escape(tag)}</h2>"
            yield (
                f"<section><h3><span>{escape(method.upper())}</span>{escape(root + path)}</h3>"
                f"{_paragraphs(operation.get('description', ''))}{_table(document, operation)}</section>"
            )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n") if part.strip())


def _table(document: Mapping[str, Any], operation: Mapping[str, Any]) -> str:
    rows = [
        (one["name"], one["in"], _kind(document, one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", ())
    ]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schema = _resolved(document, body)
    required = schema.get("required", ())
    rows += [
        (name, "body" if name in required else "body, optional", _kind(document, one), _about(one))
        for name, one in schema.get("properties", {}).items()
    ]
    cells = (
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(place)}</td><td>{escape(kind)}</td>"
        f"<td>{escape(about)}</td></tr>"
        for name, place, kind, about in rows
    )
    return f"<table>{''.join(cells)}</table>" if rows else ""


def _about(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", ""))


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow a reference, also where null may stand in its place."""
    for one in (schema, *schema.get("anyOf", ())):
        if "$ref" in one:
            found: Mapping[str, Any] = document["components"]["schemas"][one["$ref"].rpartition("/")[2]]
            return found
    return schema


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    several = [_kind(document, one) for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if several:
        return " or ".join(dict.fromkeys(several))
    found = _resolved(document, schema)
    if "enum" in found:
        return ", ".join(map(str, found["enum"]))
    if found.get("type") == "array":
        return f"{_kind(document, found['items'])}, may be repeated"
    return str(found.get("type", "anything"))
