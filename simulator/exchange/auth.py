"""Who speaks: signatures, timestamps, addresses and permissions, as the venue checks them."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from simulator.exchange import errors
from simulator.exchange.accounts import Accounts, Key
from simulator.exchange.errors import RefusedError

RECV_WINDOW_MS = 5_000
RECV_WINDOW_MS_MAX = 60_000
AHEAD_MS = 1_000
"""A timestamp may be ahead of the venue by less than this."""


def signed_by(key: Key, text: bytes, signature: str) -> bool:
    """Return whether the key made it: HMAC-SHA256 in hex, or RSA (PKCS1 v1.5, SHA-256) in base64."""
    if not key.is_rsa:
        wanted = hmac.new(key.secret.encode(), text, hashlib.sha256).hexdigest()
        return hmac.compare_digest(wanted.encode(), signature.encode())
    public = load_pem_public_key(key.secret.encode())
    if not isinstance(public, RSAPublicKey):
        return False
    try:
        public.verify(base64.b64decode(signature, validate=True), text, PKCS1v15(), SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True


def check_window(timestamp: Any, window: Any, now_ms: int) -> None:
    """Raise RefusedError 10002 unless now - window <= timestamp < now + 1 s."""
    try:
        at_ms, window_ms = int(timestamp), int(window or RECV_WINDOW_MS)
    except (TypeError, ValueError):
        raise RefusedError(
            errors.PARAMETER, "params error: X-BAPI-TIMESTAMP or X-BAPI-RECV-WINDOW invalid"
        ) from None
    if not 0 < window_ms <= RECV_WINDOW_MS_MAX:
        raise RefusedError(errors.PARAMETER, f"params error: recv_window invalid {window_ms}")
    if not now_ms - window_ms <= at_ms < now_ms + AHEAD_MS:
        raise RefusedError(
            errors.WINDOW,
            "invalid request, please check your server timestamp or recv_window param. "
            f"req_timestamp[{at_ms}],server_timestamp[{now_ms}],recv_window[{window_ms}]",
        )


def _valid(accounts: Accounts, name: str, address: str, now_ms: int) -> Key:
    key = accounts.keys.get(name)
    if key is None:
        raise RefusedError(errors.KEY_INVALID, "API key is invalid.")
    if key.expires_ms and now_ms >= key.expires_ms:
        raise RefusedError(errors.KEY_EXPIRED, "Your api key has expired.")
    if key.ips and address not in key.ips:
        raise RefusedError(errors.IP_UNBOUND, "Unmatched IP, please check your API key's bound IP addresses.")
    return key


def check_rest(
    accounts: Accounts, headers: Mapping[str, str], payload: bytes, address: str, now_ms: int
) -> Key:
    """Return the key that signed a REST request; `payload` is the raw query or body. Raises RefusedError."""
    given = {name.upper(): value for name, value in headers.items()}
    name, timestamp = given.get("X-BAPI-API-KEY", ""), given.get("X-BAPI-TIMESTAMP", "")
    window, signature = given.get("X-BAPI-RECV-WINDOW", ""), given.get("X-BAPI-SIGN", "")
    if not name:
        raise RefusedError(errors.KEY_INVALID, "API key is invalid.")
    check_window(timestamp, window, now_ms)
    key = _valid(accounts, name, address, now_ms)
    text = (timestamp + name + window).encode() + payload
    if not signed_by(key, text, signature):
        raise RefusedError(
            errors.SIGN_INVALID, "Error sign, please check your signature generation algorithm."
        )
    return key


def check_socket(accounts: Accounts, args: Any, address: str, now_ms: int) -> Key:
    """Return the key of an auth request's args [key, expires, signature]. Raises RefusedError."""
    if not isinstance(args, list) or len(args) != 3:
        raise RefusedError(errors.PARAMETER, "Params Error")
    name, expires, signature = (str(one) for one in args)
    key = _valid(accounts, name, address, now_ms)
    if not expires.isdigit() or int(expires) <= now_ms:
        raise RefusedError(errors.SIGN_INVALID, "Params Error: expires is in the past")
    if not signed_by(key, f"GET/realtime{expires}".encode(), signature):
        raise RefusedError(
            errors.SIGN_INVALID, "Error sign, please check your signature generation algorithm."
        )
    return key


def check_writes(key: Key) -> None:
    """Raise RefusedError 10005 where the key may only read."""
    if key.read_only:
        raise RefusedError(errors.PERMISSION, "Permission denied, please check your API key permissions.")
