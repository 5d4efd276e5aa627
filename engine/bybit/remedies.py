"""What to do about what the venue refuses: a sentence for each retCode that a user can act on."""

from typing import Final

__all__ = ["CLOCK_CODES", "KEY_CODES", "RATE_CODES", "remedy"]

CLOCK_CODES: Final = frozenset({10002, -1})
KEY_CODES: Final = frozenset({10003, 10004, 10005, 10007, 10010, 33004, -2015})
RATE_CODES: Final = frozenset({10006, 10429})

_CLOCK: Final = (
    "set this machine's clock (NTP); the venue's was measured again, and a larger window is no cure"
)
_REMEDIES: Final[dict[int, str]] = {
    10002: _CLOCK,
    -1: _CLOCK,
    10003: "there is no such key in {environment}: copy it again, or name the environment that made it",
    33004: "the key has expired (90 days without an IP binding): make a new one, bound to an address",
    -2015: "the key has expired or was deleted: make a new one, bound to an address",
    10004: "the secret does not belong to this key: copy it again, it is shown only once",
    10005: "the key lacks a permission: give it one for what was asked, on the venue's page",
    10007: "the venue does not know who asks: set key and secret",
    10009: "the venue does not serve this region: use the hosts of the account's own region",
    10010: "the key is bound to other addresses: ask from one of them, or bind it to this one",
    10024: "the venue restricts this account: look at its page",
    10027: "trading is banned for this account: look at the venue's page",
    10006: "too many requests of this kind in a second: the next ones wait for the venue's reset",
    10429: "the venue protects itself: ask less often",
    10017: "there is no such path: see the venue's documentation",
    10028: "only unified accounts may ask this: upgrade the account",
    10029: "the key may not trade this symbol: add it to the key's list",
    110072: "an order with this orderLinkId may be there already: ask for it before anything else",
    170141: "an order with this orderLinkId may be there already: ask for it before anything else",
}


def remedy(ret_code: int, environment: str) -> str:
    """Return what to do about a retCode; empty where its own message says all there is."""
    return _REMEDIES.get(ret_code, "").format(environment=environment)
