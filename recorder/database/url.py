"""The URL of a database server: what it may be. What is wrong with one is said without its secrets."""

import ipaddress
import os
from typing import Final
from urllib.parse import urlsplit

from engine.errors import UsageError

__all__ = ["CA_VARIABLE", "PASSWORD_VARIABLE", "USER_VARIABLE", "address", "is_server"]

USER_VARIABLE: Final = "TAPEHEAD_CLICKHOUSE_USER"
PASSWORD_VARIABLE: Final = "TAPEHEAD_CLICKHOUSE_PASSWORD"  # noqa: S105  # the name of the variable, not a password
CA_VARIABLE: Final = "TAPEHEAD_CLICKHOUSE_CA"

PORTS: Final = {"http": 8123, "https": 8443}


def is_server(place: object) -> bool:
    """Whether a place is an http(s) URL; anything else is a folder."""
    return str(place).startswith(("http://", "https://"))


def address(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port. Raises UsageError where one of them is missing, or more is there.

    So does plain HTTP to anywhere but loopback, if the environment has a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise UsageError("the URL of the database cannot be read", "write https://HOST:8443") from None
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"the URL of the database at {parts.hostname} holds a user or password, which logs would show",
            f"take it out, and set {USER_VARIABLE} and {PASSWORD_VARIABLE} in the environment",
        )
    if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UsageError(
            f"the URL of the database was {url!r}, it is scheme, host and port", "leave the rest out"
        )
    if parts.scheme == "http" and os.environ.get(PASSWORD_VARIABLE) and not _is_loopback(parts.hostname):
        raise UsageError(
            f"{url} would send the password in the clear", "use https, or a tunnel that ends on 127.0.0.1"
        )
    return parts.scheme, parts.hostname, port


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
