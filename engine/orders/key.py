"""What a key may do, read at the start: more than trading needs is refused or warned of."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from engine.bybit.account_rest import AccountRest
from engine.bybit.endpoints import ENVIRONMENTS
from engine.bybit.http import Http
from engine.errors import AnswerError, RetCodeError, TapeheadError, UsageError

__all__ = ["KeyInfo", "check_key"]

logger = logging.getLogger("tapehead")

EXPIRY_WARNING_DAYS: Final = 14
NO_SUCH_KEY: Final = 10003
ANY_ADDRESS: Final = frozenset({"*", "0.0.0.0", "0.0.0.0/0"})  # noqa: S104 - what the venue calls unbound


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What the venue says of a key. ``expires_ms`` is 0 where it does not expire."""

    is_read_only: bool
    can_withdraw: bool
    is_bound: bool
    expires_ms: int
    permissions: Mapping[str, Any]


async def check_key(
    http: Http, *, allow_withdrawal: bool = False, elsewhere: Mapping[str, str] | None = None
) -> KeyInfo:
    """Ask what the key may do. Raises UsageError for one that may withdraw or may not trade, RetCodeError.

    A key that is unknown here is looked for in the other environments, ``elsewhere`` (names and base URLs),
    to say whose it is.
    """
    try:
        info = _read(await AccountRest(http).key())
    except RetCodeError as error:
        if error.ret_code == NO_SUCH_KEY and (found := await _found_elsewhere(http, elsewhere)):
            problem = f"the key is one of {found}, and {http.environment} was named"
            raise UsageError(problem, f"use environment {found!r}, or a key of {http.environment}") from None
        raise
    if info.can_withdraw and not allow_withdrawal:
        raise UsageError(
            "the key may withdraw, which trading does not need",
            "make one without that permission, or allow it: allow_withdrawal=True",
        )
    if info.is_read_only:
        raise UsageError("the key may only read", "make one that may trade")
    _warn(info, http.server_ms() or 0)
    return info


def _warn(info: KeyInfo, server_ms: int) -> None:
    if not info.is_bound:
        logger.warning("the key is bound to no address: whoever finds it can trade; bind it to one")
    if info.expires_ms and info.expires_ms - server_ms < EXPIRY_WARNING_DAYS * 86_400_000:
        day = datetime.fromtimestamp(info.expires_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        logger.warning("the key expires at %s: make a new one, bound to an address", day)


def _read(said: Mapping[str, Any]) -> KeyInfo:
    permissions, ips = said.get("permissions"), said.get("ips")
    if not isinstance(permissions, Mapping):
        raise AnswerError("/v5/user/query-api", f"permissions must be an object, was {permissions!r}")
    wallet = permissions.get("Wallet")
    bound = [str(one) for one in ips] if isinstance(ips, list) else [str(ips or "")]
    return KeyInfo(
        is_read_only=said.get("readOnly") == 1,
        can_withdraw=isinstance(wallet, list) and "Withdraw" in wallet,
        is_bound=any(one and one not in ANY_ADDRESS for one in bound),
        expires_ms=_moment_ms(said.get("expiredAt")),
        permissions=permissions,
    )


def _moment_ms(text: object) -> int:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return 0
    # A key that never expires has the zero of the venue's calendar.
    return round(moment.timestamp() * 1_000) if moment.year > 1971 else 0


async def _found_elsewhere(http: Http, elsewhere: Mapping[str, str] | None) -> str:
    is_default = http.url == ENVIRONMENTS[http.environment].rest
    known = {name: one.rest for name, one in ENVIRONMENTS.items()} if is_default else {}
    for name, url in (known if elsewhere is None else elsewhere).items():
        if name == http.environment or http.credentials is None:
            continue
        try:
            async with Http(name, url=url, credentials=http.credentials.of(name), retries=0) as other:
                await AccountRest(other).key()
        except TapeheadError:
            continue
        return name
    return ""
