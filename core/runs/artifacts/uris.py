"""Artifact URIs of any system, compared by their parts; what may be shown of one, and contacted by one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

SERVED = "mlflow-artifacts"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+):")
_DRIVE = re.compile(r"/?([A-Za-z]:)(?=[\\/]|$)")
# MLflow connects to the host these URIs name and shows it our credentials; see mlflow's host_policy.py.
_NAMES_A_HOST = frozenset({"http", "https", SERVED, "hdfs", "viewfs", "ftp", "sftp", "abfss", "r2", "b2"})
REMOTE_SCHEMES = _NAMES_A_HOST | {"s3", "gs", "wasbs", "dbfs"}
_PROVIDER_HOSTS = {
    "abfss": (
        ".dfs.core.windows.net",
        ".dfs.core.usgovcloudapi.net",
        ".dfs.core.chinacloudapi.cn",
        ".dfs.fabric.microsoft.com",
    ),
    "r2": (".r2.cloudflarestorage.com",),
    "b2": (".backblazeb2.com",),
}


@dataclass(frozen=True, slots=True)
class UriParts:
    """A URI or path in comparable parts; `head` is "", "/", "C:", "//server", "scheme:" or "scheme://host"."""

    head: str
    parts: tuple[str, ...]
    scheme: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """What two places are compared by: Windows ignores case."""
        words = (self.head, *self.parts)
        windows = self.head.startswith("//") or _DRIVE.fullmatch(self.head)
        return tuple(word.casefold() for word in words) if windows else words

    @property
    def text(self) -> str:
        """The place in one notation, with forward slashes."""
        return "/".join((self.head.rstrip("/"), *self.parts)) if self.head else "/".join(self.parts)

    def local(self, base: Path | None = None) -> Path | None:
        """Give the path on this machine; None for another system's, and a relative one without `base`."""
        if self.scheme or self.head.startswith("//"):
            return None
        if self.head == "":
            return None if base is None else base.joinpath(*self.parts)
        if (self.head == "/") == (os.name == "nt"):
            return None
        return Path(self.head.rstrip("/") + "/").joinpath(*self.parts)


def parse_uri(text: str, *, decode: bool = False) -> UriParts:
    r"""Split a URI or a path as any system writes it.

    Understood are `file:///C:/a`, `C:\a`, `file:///Users/a`, `/home/a`, `./mlruns/1`, `\\server\share` and
    `scheme://host/a`. `file:` URIs are percent-decoded, others only when `decode` is True.
    """
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    rest = text[match.end() :] if match else text
    if decode or scheme == "file":
        rest = unquote(rest)
    if scheme not in ("", "file"):
        host, path = _host(rest)
        return UriParts(f"{scheme}://{host}" if host else f"{scheme}:", _split(path), scheme)
    if scheme == "file" and rest.startswith("//"):
        host, path = _host(rest)
        if host in ("", "localhost"):
            rest = f"/{path}"
        elif host == "." or _DRIVE.fullmatch(host):  # file://./mlruns and file://C:/a are seen in the wild
            rest = f"{host}/{path}"
    drive = _DRIVE.match(rest)
    if drive:
        return UriParts(drive[1].upper(), _split(rest[drive.end() :].replace("\\", "/")))
    if rest.startswith(("//", "\\\\")):
        host, path = _host(rest.replace("\\", "/"))
        return UriParts(f"//{host}", _split(path))
    if "/" not in rest:
        rest = rest.replace("\\", "/")
    return UriParts("/" if rest.startswith("/") else "", _split(rest))


def _host(rest: str) -> tuple[str, str]:
    if not rest.startswith("//"):
        return "", rest
    host, _, path = rest[2:].partition("/")
    return host, path


def _split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", "."))


def redacted(uri: str) -> str:
    """Give a URI as it may be shown: without user, password and query."""
    match = re.match(r"([\w+.\-]+://)([^/]*)(.*)", uri, re.DOTALL)
    if match is None:
        return uri
    scheme, host, path = match.groups()
    user, at, without_user = host.rpartition("@")
    names_a_container = scheme.startswith(("abfss", "wasbs", "r2", "b2")) and ":" not in user
    if at and not names_a_container:
        host = without_user
    return scheme + host.partition("?")[0] + path.partition("?")[0]


def untrusted_host(uri: str, tracking_uri: str | None) -> bool:
    """Tell whether asking this URI would show our credentials to a host that nobody chose.

    MLflow sends its token or its keys to the host that such a URI names, and whoever writes to the tracking
    store chooses the URI. Only the tracking server itself and the storage providers' own hosts are trusted.
    """
    try:
        named, server = urlsplit(uri), urlsplit(tracking_uri or "")
        scheme, host, port = named.scheme.lower(), named.hostname or "", named.port
        own = (server.hostname, server.port or _default_port(server.scheme))
    except ValueError:
        return True
    if scheme not in _NAMES_A_HOST or (scheme == SERVED and not named.netloc):
        return False
    if re.search(r"[\\\s]", named.netloc):  # urllib and the HTTP client would read two different hosts
        return True
    if host.endswith(_PROVIDER_HOSTS.get(scheme, ())):
        return False
    if scheme not in ("http", "https", SERVED):
        return True
    return (host, port or _default_port(server.scheme if scheme == SERVED else scheme)) != own


def _default_port(scheme: str) -> int | None:
    return {"http": 80, "https": 443}.get(scheme)
