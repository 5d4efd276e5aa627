"""Which topics exist on which path."""

from simulator.candles import INTERVALS

Depth = int | str
"""Levels of an order-book topic, or `rpi` or `full`."""

RPI, FULL = "rpi", "full"
DEPTHS: dict[str, tuple[Depth, ...]] = {
    "linear": (1, 50, 200, 1000, RPI),
    "inverse": (1, 50, 200, 1000, RPI),
    "spot": (1, 50, 200, 1000, RPI, FULL),
    "option": (25, 100),
    "spread": (25,),
}
EVERYWHERE = ("publicTrade", "tickers")
SYMBOL_KINDS = {
    "linear": (*EVERYWHERE, "allLiquidation", "priceLimit"),
    "inverse": (*EVERYWHERE, "allLiquidation", "priceLimit"),
    "spot": (*EVERYWHERE, "priceLimit"),
    "option": EVERYWHERE,
    "spread": EVERYWHERE,
}
KLINE_CATEGORIES = ("linear", "inverse", "spot")
COIN_KINDS = ("insurance", "adlAlert")
COINS = {"linear": ("USDT", "USDC"), "inverse": ("inverse",)}
STATUS = "status"
"""The category of the path /v5/public/misc/status."""
STATUS_TOPIC = "system.status"


def depth_of(text: str) -> Depth:
    """Return the depth that a topic or a query names; 0 where it names none."""
    if text in (RPI, FULL):
        return text
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 and text[0] != "0" else 0


def split(category: str, topic: str) -> tuple[str, str, str] | None:
    """Return kind, option (depth, interval or empty) and symbol of a topic that a path can have.

    The symbol of option trades is a base coin, that of `insurance` and `adlAlert` a coin.
    """
    kind, _, rest = topic.partition(".")
    if kind in SYMBOL_KINDS.get(category, ()) or (kind in COIN_KINDS and rest in COINS.get(category, ())):
        return kind, "", rest
    option, _, symbol = rest.partition(".")
    if kind == "orderbook" and depth_of(option) in DEPTHS.get(category, ()):
        return kind, option, symbol
    if kind == "kline" and category in KLINE_CATEGORIES and option in INTERVALS:
        return kind, option, symbol
    return None
