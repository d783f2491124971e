"""Who may ask without a token: programs on this machine alone, and no web page of another site. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit

_PASSED_ON: Final = frozenset(
    {"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
)
_OWN_SITE: Final = frozenset({"same-origin", "none"})


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a request comes from, and what it says of itself.

    Attributes
    ----------
    client : str or None
        Address of the other end of the connection.
    headers : tuple of (str, str)
        Names in lower case; one may be there several times.
    """

    client: str | None
    headers: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, client: str | None, raw: Iterable[tuple[bytes, bytes]]) -> Asking:
        """Read the headers of an ASGI scope."""
        pairs = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
        return cls(client, tuple(pairs))

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a header."""
        return tuple(value for key, value in self.headers if key == name)

    @property
    def has_credentials(self) -> bool:
        """Whether it claims to be somebody."""
        return bool(self.all("authorization"))

    @property
    def bearer(self) -> str | None:
        """The bearer token; None where it is not exactly one."""
        found = self.all("authorization")
        scheme, _, token = found[0].partition(" ") if len(found) == 1 else ("", "", "")
        return token.strip() or None if scheme.lower() == "bearer" else None

    @property
    def is_local(self) -> bool:
        """Whether it was made on this machine, to a local name, and was not passed on by a proxy.

        The name keeps out web pages whose host name was made to mean this machine.
        """
        hosts = self.all("host")
        passed_on = any(name in _PASSED_ON or name.startswith("x-forwarded-") for name, _ in self.headers)
        return (
            not passed_on
            and self.client is not None
            and _is_loopback(self.client)
            and len(hosts) == 1
            and _is_local_name(hosts[0])
        )

    @property
    def is_from_another_site(self) -> bool:
        """Whether a browser says that a page of another site makes it ask."""
        if any(value not in _OWN_SITE for value in self.all("sec-fetch-site")):
            return True
        hosts = self.all("host")
        return any(origin not in _own_origins(hosts) for origin in self.all("origin"))


def _own_origins(hosts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(f"{scheme}://{host.lower()}" for host in hosts for scheme in ("http", "https"))


def _is_local_name(host: str) -> bool:
    try:
        split = urlsplit(f"//{host}")
        name, _ = split.hostname, split.port
    except ValueError:
        return False
    if split.netloc != host or "@" in host or name is None:
        return False
    return name == "localhost" or _is_loopback(name)


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
