"""Hide what is secret in addresses before they are shown, logged or put into an error."""

from __future__ import annotations

import re

_CREDENTIALS = re.compile(r"(://[^:@/?#\[]*):[^/?#]*@")
# A password with / ? # as they are, which databases accept; digits up to one of these are a port.
_UNESCAPED = re.compile(r"(://[^:@/?#\[]*):(?!\d*[/?#])[^@]*@")
_SECRET_VALUE = re.compile(r"([?&][^=&#]*(?:pass|token|secret|key)[^=&#]*=)[^&#]+", re.IGNORECASE)


def redact(uri: str) -> str:
    """Replace the password of a URI, and any query value that may be one, by ***."""
    shown, found = _CREDENTIALS.subn(r"\1:***@", uri, count=1)
    if not found:
        shown = _UNESCAPED.sub(r"\1:***@", uri, count=1)
    return _SECRET_VALUE.sub(r"\1***", shown)
