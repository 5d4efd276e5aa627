"""Where the venue is: one table of environments and regions, and the rule which URLs are acceptable."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from engine.errors import EndpointError, nearest

__all__ = [
    "ENVIRONMENTS",
    "REGIONS",
    "Hosts",
    "check_url",
    "hosts",
    "private_url",
    "public_base",
    "public_path",
    "rest_base",
    "trade_url",
]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Base URLs of one environment: no path, no trailing slash; empty = the venue lists none.

    ``private`` is that of the account's streams where it is another than ``websocket``.
    """

    rest: str
    websocket: str
    private: str = ""
    has_order_entry: bool = True


ENVIRONMENTS: Final = {
    "mainnet": Hosts("https://api.bybit.com", "wss://stream.bybit.com"),
    "testnet": Hosts("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com"),
    # Demo has no public streams of its own: its prices are mainnet's.
    "demo": Hosts(
        "https://api-demo.bybit.com",
        "wss://stream.bybit.com",
        private="wss://stream-demo.bybit.com",
        has_order_entry=False,
    ),
}

REGIONS: Final = {
    "nl": Hosts("https://api.bybit.nl", ""),
    "tr": Hosts("https://api.bybit.tr", "wss://stream.bybit.tr"),
    "kz": Hosts("https://api.bybit.kz", "wss://stream.bybit.kz"),
    "ge": Hosts("https://api.bybitgeorgia.ge", "wss://stream.bybitgeorgia.ge"),
    "ae": Hosts("https://api.bybit.ae", ""),
    "eu": Hosts("https://api.bybit.eu", "wss://stream.bybit.eu"),
    "id": Hosts("https://api.bybit.id", "wss://stream.bybit.id"),
    "jp": Hosts("https://api.manepa.jp", "wss://stream.manepa.jp"),
}


_ACTIVE_TIME: Final = re.compile(r"([0-9]{1,3})([sm])", re.ASCII)


def hosts(environment: str = "mainnet", region: str = "") -> Hosts:
    """Return the base URLs of an environment, or of a region's mainnet. Raises EndpointError."""
    if environment not in ENVIRONMENTS:
        known = nearest(environment, ENVIRONMENTS) or tuple(ENVIRONMENTS)
        raise EndpointError(environment, "is no environment", "use " + " or ".join(known))
    if not region:
        return ENVIRONMENTS[environment]
    if region not in REGIONS:
        raise EndpointError(region, "is no region", "use one of " + ", ".join(REGIONS))
    if environment != "mainnet":
        raise EndpointError(environment, f"has no hosts of region {region!r}", "use environment 'mainnet'")
    return REGIONS[region]


def public_base(environment: str = "mainnet", *, region: str = "", url: str | None = None) -> str:
    """Return the URL to which ``/<category>`` is added; ``url`` replaces the environment's base."""
    known = hosts(environment, region)
    base = known.websocket if url is None else url
    if not base:
        raise EndpointError(
            region, "has no public stream that the venue lists", "give its base as url=wss://..."
        )
    check_url(base, secure="wss", plain="ws")
    base = base.rstrip("/")
    if "/v5/" in base:
        raise EndpointError(base, "names a path", "give the base only: " + base.partition("/v5/")[0])
    return f"{base}/v5/public"


def public_path(category: str) -> str:
    """Return what is added to `public_base` for a category."""
    return "misc/status" if category == "status" else category


def private_url(
    environment: str, *, region: str = "", url: str | None = None, max_active_time: str = ""
) -> str:
    """Return the URL of the account's streams; ``url`` replaces the environment's base.

    ``max_active_time`` (``30s`` to ``600s``, or ``1m`` to ``10m``) is how long the venue keeps a silent one.
    """
    return _account_url("/v5/private", environment, region, url, max_active_time)


def trade_url(
    environment: str, *, region: str = "", url: str | None = None, max_active_time: str = ""
) -> str | None:
    """Return the URL of order entry, None where the venue has none (demo): orders go by REST there."""
    if not hosts(environment, region).has_order_entry:
        return None
    return _account_url("/v5/trade", environment, region, url, max_active_time)


def _account_url(path: str, environment: str, region: str, url: str | None, max_active_time: str) -> str:
    known = hosts(environment, region)
    base = (known.private or known.websocket) if url is None else url
    if not base:
        raise EndpointError(region, "has no stream that the venue lists", "give its base as url=wss://...")
    check_url(base, secure="wss", plain="ws")
    if not max_active_time:
        return base.rstrip("/") + path
    match = _ACTIVE_TIME.fullmatch(max_active_time)
    seconds = int(match[1]) * (60 if match[2] == "m" else 1) if match else 0
    if not 30 <= seconds <= 600:
        raise EndpointError(max_active_time, "is no max_active_time", "use 30s to 600s, or 1m to 10m")
    return f"{base.rstrip('/')}{path}?max_active_time={max_active_time}"


def rest_base(environment: str = "mainnet", *, region: str = "", url: str | None = None) -> str:
    """Return the base URL of the REST interface, without a trailing slash; ``url``, if given, replaces it."""
    known = hosts(environment, region)
    base = known.rest if url is None else url
    check_url(base, secure="https", plain="http")
    return base.rstrip("/")


def check_url(url: str, *, secure: str, plain: str) -> None:
    """Raise EndpointError unless ``url`` is encrypted, or plain and to this machine."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise EndpointError(url, f"is no URL ({error})", f"use {secure}://host[:port]") from None
    if parts.scheme not in (secure, plain) or not host:
        raise EndpointError(url, "is no usable URL", f"use {secure}://host[:port]")
    if parts.query or parts.fragment or parts.username is not None:
        raise EndpointError(url, "has a query, a fragment or a user", f"use {secure}://host[:port]")
    if parts.scheme == plain and not _is_loopback(host):
        raise EndpointError(
            url,
            f"is not encrypted, and {host} is not this machine",
            f"use {secure}:// ({plain}:// to loopback only)",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
