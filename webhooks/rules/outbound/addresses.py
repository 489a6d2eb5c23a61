"""Where outbound webhooks may go (B128): which addresses a URL may name, and which an IP address may be.

The same judgement is passed when an endpoint is saved and, on the address that a name resolves to, at each connection.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from common.errors import ProblemError

MAX_URL: Final = 2_000
PORTS: Final = frozenset({443, 8443})
"""Where receivers listen; every other port belongs to something that is no receiver."""
_LOOPBACK_PORTS: Final = range(1_024, 65_536)
_DATABASE_PORTS: Final = frozenset({5432, 6379})
_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}", re.ASCII)
_NUMERIC_END: Final = re.compile(r"(?:^|\.)(?:\d+|0[xX][0-9a-fA-F]*)\.?$", re.ASCII)
_INNER_NAMES: Final = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "lan",
    "corp",
    "home",
    "arpa",
    "onion",
)
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_NEVER: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23",
        "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
    )
)  # fmt: skip
"""Beside what the standard library calls not global, which differs between its versions: also everything that carries
an IPv4 address inside (mapped, translated, NAT64, 6to4, Teredo), because a router or the kernel unpacks it."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class InvalidUrl(ProblemError):
    """A webhook goes to https on port 443 or 8443 of a public address, without user name, fragment or odd spelling."""

    code = "invalid_url"
    status = 400
    title = "Invalid URL"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed: where to connect, and the path with its query."""

    scheme: str
    host: str
    port: int
    path: str
    is_loopback: bool

    @property
    def netloc(self) -> str:
        """Return the Host header: the port only where it is not the scheme's own."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"https": 443, "http": 80}[self.scheme]
        return shown if self.port == usual else f"{shown}:{self.port}"


def is_public(address: Address) -> bool:
    """Return whether an IP address is one of the internet that nobody's inner network uses."""
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    return not any(address.version == net.version and address in net for net in _NEVER)


def parse_target(url: str, *, loopback: bool = False, pointer: str | None = None) -> Target:
    """Return where a URL goes. `loopback`: the setting for development, by which http to this machine passes, too.

    Raises InvalidUrl; what a name resolves to is judged by `require_public`.
    """
    if (
        not 1 <= len(url) <= MAX_URL
        or not url.isascii()
        or not url.isprintable()
        or set(' \\"<>^`{|}') & set(url)
    ):
        raise InvalidUrl(pointer=pointer)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidUrl(pointer=pointer) from None
    has_brackets = bool(set("[]") & set(parts.netloc))  # a name in them would be none that was judged
    if (
        has_brackets != (":" in host)
        or set("@%") & set(parts.netloc)
        or "#" in url
        or parts.netloc.endswith(":")
    ):
        raise InvalidUrl(pointer=pointer)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if loopback and host in _LOOPBACK_NAMES:
        return _loopback_target(parts.scheme, host, port, path, pointer)
    number = 443 if port is None else port
    if parts.scheme != "https" or number not in PORTS or not _is_public_host(host):
        raise InvalidUrl(pointer=pointer)
    return Target("https", host, number, path, is_loopback=False)


def require_public(addresses: Collection[str], *, loopback: bool = False) -> str:
    """Return the address to connect to, of all that a name resolves to.

    One that is not public condemns the name: it belongs to somebody who tries. Raises InvalidUrl.
    """
    found = [_parsed(text) for text in addresses]
    allowed = [one for one in found if one is not None and (one.is_loopback if loopback else is_public(one))]
    if not found or len(allowed) != len(found):
        raise InvalidUrl("The name leads to an address that is not public.")
    return str(min(allowed, key=lambda one: one.version))


def _loopback_target(scheme: str, host: str, port: int | None, path: str, pointer: str | None) -> Target:
    number = port or 0
    if scheme not in ("http", "https") or number not in _LOOPBACK_PORTS or number in _DATABASE_PORTS:
        raise InvalidUrl(pointer=pointer)
    return Target(scheme, host, number, path, is_loopback=True)


def _is_public_host(host: str) -> bool:
    if ":" in host:
        address = _parsed(host)
        return address is not None and is_public(address)
    if _NUMERIC_END.search(host):  # every spelling of an IPv4 address; only the plain one is taken
        address = _parsed(host)
        return address is not None and str(address) == host and is_public(address)
    labels = host.split(".")
    return len(host) <= 253 and bool(_NAME.fullmatch(host)) and labels[-1] not in _INNER_NAMES


def _parsed(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
