"""Accounts and the keys that speak for them."""

from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simulator.errors import SimulatorError
from simulator.exchange.positions import LEVERAGE, Position

if TYPE_CHECKING:
    from simulator.exchange.executions import Execution
    from simulator.exchange.orders import Order

UID_FIRST = 100_000_001
DEFAULT_COIN = "USDT"
PERMISSIONS: dict[str, list[str]] = {
    "ContractTrade": ["Order", "Position"],
    "Spot": ["SpotTrade"],
    "Wallet": ["AccountTransfer", "SubMemberTransferList"],
    "Options": ["OptionsTrade"],
    "Derivatives": ["DerivativesTrade"],
    "Exchange": ["ExchangeHistory"],
}
OPTIONS = "read_only, withdraw, ip=ADDRESS, expires_ms=MS, uid=N, limit=N"


@dataclass(slots=True)
class Key:
    """An API key. `secret` is the shared secret, or the public key of an RSA pair as PEM.

    `expires_ms` 0 is never; no `ips` is any address.
    """

    key: str
    secret: str = field(repr=False)
    account: "Account"
    read_only: bool = False
    withdraws: bool = False
    ips: tuple[str, ...] = ()
    expires_ms: int = 0

    @property
    def is_rsa(self) -> bool:
        """Whether it is the public half of an RSA pair."""
        return self.secret.startswith("-----BEGIN")

    def permissions(self) -> dict[str, list[str]]:
        """Return the permissions as the venue lists them."""
        wallet = PERMISSIONS["Wallet"] + (["Withdraw"] if self.withdraws else [])
        return {**PERMISSIONS, "Wallet": wallet}


@dataclass(slots=True, eq=False)
class Account:
    """What one user has. `limit` raises every endpoint's requests a second; 0 keeps the default tier."""

    uid: int
    balances: dict[str, Decimal] = field(default_factory=dict)
    limit: int = 0
    orders: dict[str, "Order"] = field(default_factory=dict)
    live: dict[str, "Order"] = field(default_factory=dict)
    links: dict[tuple[str, str], "Order"] = field(default_factory=dict)
    executions: list["Execution"] = field(default_factory=list)
    positions: dict[tuple[str, str, int], "Position"] = field(default_factory=dict)
    leverages: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    hedged: set[str] = field(default_factory=set)
    closed: list[dict[str, Any]] = field(default_factory=list)
    dcp_windows: dict[str, int] = field(default_factory=dict)
    realised: dict[str, Decimal] = field(default_factory=dict)
    rejects_outside_band: bool = False

    def position(self, category: str, symbol: str, idx: int) -> "Position":
        """Return a position, a flat one where there is none yet."""
        return self.positions.setdefault((category, symbol, idx), Position(category, symbol, idx))

    def leverage(self, category: str, symbol: str) -> Decimal:
        """Return the leverage of a market."""
        return self.leverages.get((category, symbol), LEVERAGE)


class Accounts:
    """All accounts, by key and by uid."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.by_uid: dict[int, Account] = {}

    def open(
        self,
        key: str,
        secret: str,
        balances: dict[str, Decimal],
        *,
        uid: int = 0,
        limit: int = 0,
        read_only: bool = False,
        withdraw: bool = False,
        ips: tuple[str, ...] = (),
        expires_ms: int = 0,
    ) -> Account:
        """Open an account with a key; a `uid` that is there already gets one more key."""
        if key in self.keys:
            raise SimulatorError(f"account key {key!r} was named twice; a key speaks for one account")
        uid = uid or UID_FIRST + len(self.by_uid)
        account = self.by_uid.setdefault(uid, Account(uid, dict(balances), limit))
        self.keys[key] = Key(key, secret, account, read_only, withdraw, ips, expires_ms)
        return account

    def open_text(self, text: str) -> Account:
        """Open the account of `key:secret:balance[:options]`, as --account takes it.

        The secret may be `@file` with an RSA public key; a balance is USDT or `USDT=100000,BTC=2`.
        """
        parts = text.split(":", 3)
        if len(parts) < 3 or not parts[0] or not parts[1]:
            raise SimulatorError("an account is key:secret:balance[:options], as in k1:s1:100000")
        key, secret, balance = parts[:3]
        if secret.startswith("@"):
            secret = _public_key(Path(secret[1:]))
        options = _options(parts[3]) if len(parts) == 4 else {}
        return self.open(key, secret, _balances(balance), **options)


def _public_key(path: Path) -> str:
    try:
        text = path.read_text()
    except OSError as error:
        raise SimulatorError(f"public key file {str(path)!r} cannot be read: {error}") from error
    if not text.startswith("-----BEGIN PUBLIC KEY"):
        raise SimulatorError(f"{str(path)!r} is no RSA public key in PEM")
    return text


def _balances(text: str) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for part in text.split(","):
        coin, _, amount = part.rpartition("=")
        try:
            value = Decimal(amount)
        except InvalidOperation as error:
            raise SimulatorError(f"balance was {part!r}; use 100000, or USDT=100000,BTC=2") from error
        if not value.is_finite() or value < 0:
            raise SimulatorError(f"balance was {part!r}; it is 0 or more")
        found[coin or DEFAULT_COIN] = value
    return found


def _options(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name in ("read_only", "withdraw") and not value:
            found[name] = True
        elif name == "ip" and value:
            found["ips"] = (*found.get("ips", ()), value)
        elif name in ("expires_ms", "uid", "limit") and value.isascii() and value.isdigit():
            found[name] = int(value)
        else:
            raise SimulatorError(f"account option was {part!r}; there are {OPTIONS}")
    return found
