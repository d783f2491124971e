"""Hide what is secret in addresses before they are shown, logged or put into an error."""

from __future__ import annotations

from urllib.parse import urlsplit

_SECRET_NAMES = ("pass", "token", "secret", "key")


def redact(uri: str) -> str:
    """Replace the password of a URI, and any query value that may be one, by ***."""
    parts = urlsplit(uri)
    shown = uri
    if "@" in parts.netloc:
        credentials, host = parts.netloc.rsplit("@", 1)
        user, colon, _ = credentials.partition(":")
        shown = shown.replace(f"{credentials}@{host}", f"{user}{':***' if colon else ''}@{host}", 1)
    for pair in parts.query.split("&") if parts.query else []:
        name, _, value = pair.partition("=")
        if value and any(word in name.lower() for word in _SECRET_NAMES):
            shown = shown.replace(pair, f"{name}=***")
    return shown
