"""Who signs: an API key and its secret. The secret leaves this module only as signatures."""

import hashlib
import hmac
import os
import stat
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NoReturn, Self

import orjson
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from engine.bybit.endpoints import ENVIRONMENTS
from engine.errors import ConfigError, UsageError, nearest

__all__ = ["KEY_FILE_VARIABLE", "Credentials"]

KEY_FILE_VARIABLE: Final = "TAPEHEAD_KEY_FILE"
FILE_BYTES_MAX: Final = 64 * 1024
PEM_MARK: Final = "-----BEGIN"
REDACTED: Final = "[secret]"


class Credentials:
    """Signs requests of one environment. HMAC-SHA256, or RSA where the secret is a private key in PEM form.

    Its repr, its pickle and its attributes do not hold the secret; `load` finds one where it should be kept.
    """

    __slots__ = ("__sign", "environment", "key")

    def __init__(self, environment: str, key: str, secret: str) -> None:
        if environment not in ENVIRONMENTS:
            known = nearest(environment, ENVIRONMENTS) or tuple(ENVIRONMENTS)
            raise ConfigError(
                "environment", environment, "is none of the venue's", "use " + " or ".join(known)
            )
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(
                "the API key is empty or holds what a key cannot", "copy it from the venue's page"
            )
        if not secret.strip():
            raise UsageError("the API secret is empty", "copy it from the venue's page")
        self.environment = environment
        self.key = key
        self.__sign = _rsa(secret) if secret.lstrip().startswith(PEM_MARK) else _Hmac(secret.strip())

    @classmethod
    def load(cls, environment: str, variables: Mapping[str, str] = os.environ) -> Self:
        """Take key and secret from variables, or from the file that TAPEHEAD_KEY_FILE names.

        Mainnet: ``TAPEHEAD_KEY`` and ``TAPEHEAD_SECRET``; testnet: ``TAPEHEAD_TESTNET_KEY`` ...; demo:
        ``TAPEHEAD_DEMO_KEY`` .... The file, of mode 0600, holds ``{"testnet": {"key": ..., "secret": ...}}``;
        instead of ``secret`` it may have ``secret_file``, the path of a private key.

        Raises UsageError, which names what is missing and never what is there.
        """
        key_name, secret_name = variable_names(environment)
        if variables.get(key_name) and variables.get(secret_name):
            return cls(environment, variables[key_name].strip(), variables[secret_name])
        if file_name := variables.get(KEY_FILE_VARIABLE):
            return cls(environment, *_from_file(Path(file_name), environment))
        missing = [name for name in (key_name, secret_name) if not variables.get(name)]
        raise UsageError(
            f"there is no API key of {environment}: {' and '.join(missing)} not set",
            f"set {key_name} and {secret_name}, or {KEY_FILE_VARIABLE}",
        )

    def of(self, environment: str) -> "Credentials":
        """Return the same key and secret as credentials of another environment."""
        other = Credentials.__new__(Credentials)
        other.environment, other.key, other.__sign = environment, self.key, self.__sign
        return other

    @property
    def mark(self) -> str:
        """What tells keys apart where the key itself must not be: 16 hex digits of its hash."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]

    def sign(self, text: str) -> str:
        """Return the signature of a text: lowercase hex of HMAC, base64 of RSA."""
        return self.__sign(text.encode())

    def __repr__(self) -> str:
        return f"Credentials({self.environment!r}, key {REDACTED}, secret {REDACTED})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled: load them where they are needed")


class _Hmac:
    __slots__ = ("__start",)

    def __init__(self, secret: str) -> None:
        self.__start = hmac.new(secret.encode(), digestmod=hashlib.sha256)

    def __call__(self, text: bytes) -> str:
        signing = self.__start.copy()
        signing.update(text)
        return signing.hexdigest()


class _Rsa:
    __slots__ = ("__key",)

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self.__key = key

    def __call__(self, text: bytes) -> str:
        return b64encode(self.__key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def _rsa(pem: str) -> _Rsa:
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UsageError(
            "the API secret looks like a private key, and is no RSA key without a password",
            "give the PEM file that was made for the venue",
        ) from None
    return _Rsa(key)


def variable_names(environment: str) -> tuple[str, str]:
    """Return the names of the variables that hold key and secret of an environment."""
    middle = "" if environment == "mainnet" else f"{environment.upper()}_"
    return f"TAPEHEAD_{middle}KEY", f"TAPEHEAD_{middle}SECRET"


def _from_file(path: Path, environment: str) -> tuple[str, str]:
    try:
        said = orjson.loads(_read_private(path))
        entry = said[environment]
        key, secret = entry["key"], entry.get("secret") or _read_private(Path(entry["secret_file"])).decode()
    except (orjson.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        key = secret = None
    if not isinstance(key, str) or not isinstance(secret, str):
        raise UsageError(
            f"{path} has no key and secret of {environment}",
            'write {"' + environment + '": {"key": "...", "secret": "..."}}',
        ) from None
    return key, secret


def _read_private(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise UsageError(f"{path} may be read by others (mode {mode:04o})", f"chmod 600 {path}")
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", f"look at {KEY_FILE_VARIABLE}") from None
