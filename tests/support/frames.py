"""Frames to test with, all of them drawn from a `random.Random`: seeded, or one that hypothesis hands out.

`Market` is a topic's true book and the messages of a faultless venue, `wild_*` draw what no venue would send.
"""

import json
import string
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from tests.support.oracle_fixed import spell

TS_MS = 1_790_000_000_000

TruthSide = dict[Decimal, Decimal]


def compact(message: dict[str, Any]) -> bytes:
    """The bytes as the venue writes them."""
    return json.dumps(message, separators=(",", ":")).encode()


def book_frame(
    kind: str,
    update_id: int,
    bids: Iterable[Iterable[str]] = (),
    asks: Iterable[Iterable[str]] = (),
    *,
    seq: int | None = None,
    symbol: str = "BTCUSDT",
    depth: int = 50,
    ts_ms: int = TS_MS,
) -> bytes:
    data = {
        "s": symbol,
        "b": [list(level) for level in bids],
        "a": [list(level) for level in asks],
        "u": update_id,
        "seq": 50_000 + update_id if seq is None else seq,
    }
    topic = f"orderbook.{depth}.{symbol}"
    return compact({"topic": topic, "type": kind, "ts": ts_ms, "data": data, "cts": ts_ms - 3})


def trade_frame(*trades: dict[str, Any], symbol: str = "BTCUSDT", ts_ms: int = TS_MS) -> bytes:
    return compact({"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": ts_ms, "data": list(trades)})


@dataclass(frozen=True)
class Message:
    """What the venue sent, and the book that whoever applied all messages up to this one must hold."""

    frame: bytes
    update_id: int
    is_snapshot: bool
    bids: TruthSide
    asks: TruthSide


class Market:
    """The true book of one topic in mantissas, and the venue's messages about it: never crossed."""

    def __init__(
        self,
        random: Random,
        *,
        symbol: str = "BTCUSDT",
        depth: int = 50,
        levels: int = 12,
        middle: int = 10_000,
        first_update_id: int = 1_000_000,
    ) -> None:
        self.random = random
        self.symbol = symbol
        self.depth = depth
        self.price_scale = random.randint(0, 3)
        self.size_scale = random.randint(0, 3)
        self.update_id = first_update_id - 1
        self.seq = 2_000_000
        # Bids are kept under negated prices: on both sides the smallest key is the best.
        self.bids = {offset - middle: self._size() for offset in range(1, min(levels, depth) + 1)}
        self.asks = {offset + middle: self._size() for offset in range(1, min(levels, depth) + 1)}

    def _size(self) -> int:
        return self.random.randint(1, 9_999)

    def restart(self) -> Message:
        """The venue's service begins anew: a snapshot with `u` = 1."""
        self.update_id = 0
        return self.snapshot()

    def snapshot(self) -> Message:
        return self._message("snapshot", dict(self.bids), dict(self.asks))

    def delta(self) -> Message:
        changes: tuple[dict[int, int], dict[int, int]] = ({}, {})
        for _ in range(self.random.randint(1, 5)):
            self._change_one(changes)
        for levels, change in zip((self.bids, self.asks), changes, strict=True):
            for key in sorted(levels)[self.depth :]:
                del levels[key]
                change[key] = 0
        return self._message("delta", *changes)

    def _change_one(self, changes: tuple[dict[int, int], dict[int, int]]) -> None:
        side = self.random.randrange(2)
        levels, opposite = (self.bids, self.asks) if side == 0 else (self.asks, self.bids)
        if len(levels) > 1 and self.random.random() < 0.6:
            key = self.random.choice(sorted(levels)[:8])
            size = 0 if self.random.random() < 0.4 else self._size()
        else:
            # The opposite best stands at the key -min(opposite): a new level must stay behind it.
            key = max(min(levels) + self.random.randint(-3, 6), 1 - min(opposite))
            size = self._size()
        changes[side][key] = size
        if size:
            levels[key] = size
        else:
            levels.pop(key, None)

    def _message(self, kind: str, bids: dict[int, int], asks: dict[int, int]) -> Message:
        self.update_id += 1
        self.seq += self.random.randint(1, 900)
        frame = book_frame(
            kind,
            self.update_id,
            [self._texts(-key, size) for key, size in bids.items()],
            [self._texts(key, size) for key, size in asks.items()],
            seq=self.seq,
            symbol=self.symbol,
            depth=self.depth,
        )
        truth = (
            {self._price(-key): self._amount(size) for key, size in self.bids.items()},
            {self._price(key): self._amount(size) for key, size in self.asks.items()},
        )
        return Message(frame, self.update_id, kind == "snapshot", *truth)

    def _texts(self, price: int, size: int) -> tuple[str, str]:
        return spell(price, self.price_scale), spell(size, self.size_scale)

    def _price(self, mantissa: int) -> Decimal:
        return Decimal(mantissa).scaleb(-self.price_scale)

    def _amount(self, mantissa: int) -> Decimal:
        return Decimal(mantissa).scaleb(-self.size_scale)


# Texts of numbers


def respell(random: Random, mantissa: int, scale: int) -> str:
    """Another spelling of the same value: leading and trailing zeros, exponents."""
    style = random.randrange(6)
    if style == 0:
        zeros = random.randint(1, 3)
        return spell(mantissa * 10**zeros, scale + zeros)
    if style == 1:
        text = spell(abs(mantissa), scale)
        return ("-" if mantissa < 0 else "") + "0" * random.randint(1, 25) + text
    if style == 2:
        exponent = random.randint(-4, 4)
        decimals = scale + exponent
        coefficient = spell(mantissa, decimals) if decimals >= 0 else spell(mantissa * 10**-decimals, 0)
        sign = "+" if exponent >= 0 and random.random() < 0.3 else ""
        return f"{coefficient}{random.choice('eE')}{sign}{exponent}"
    return spell(mantissa, scale)


ODD_NUMBERS = (
    "0", "-0", "0.0", "-0.000", "0e5", "0e-18", "0e-19", "00", "007", "1e-7", "1.5e1", "1E5", "1e17", "1e18",
    "999999999999999999", "1000000000000000000", "0.000000000000000001", "0.0000000000000000001",
    "123456789012345678", "1234567890.12345678", "1234567890.123456789", "9223372036854775807",
    "18446744073709551616", "0e99999999999999999999", "1e99999999999999999999", "1e-99999999999999999999",
    "1e+00000000000000000000000001", "0000000000000000000000000000000001.5",
)  # fmt: skip
NOT_NUMBERS = (
    "", "-", ".", "+1", ".5", "5.", "-.5", "1e", "1e+", "e5", "1.e5", "1_000", "1,000", " 1", "1 ", "1\n",
    "0x10", "NaN", "Infinity", "-inf", "--1", "1-", "1.2.3", "1e5e5", "1e5.0", "null",
    "\u0661", "\uff11", "1\u0000", "\u22121",
)  # fmt: skip


def number_text(random: Random, mantissa: int, scale: int, oddity: float) -> str:
    """A spelling of mantissa / 10**scale, but now and then (`oddity`) some other number, or none."""
    if random.random() >= oddity:
        return respell(random, mantissa, scale)
    return random.choice(ODD_NUMBERS) if random.random() < 0.5 else random.choice(NOT_NUMBERS)


# Messages of any content


def wild_levels(random: Random, side: str, depth: int, oddity: float) -> list[list[str]]:
    levels = []
    count = random.choice((0, 1, 1, 2, 3, 6))
    for _ in range(count if depth > 1 or random.random() < 0.05 else min(count, 1)):
        tick = random.randint(0, 30) if random.random() < 0.99 else random.randint(-9, 99)
        price = 30 - tick if side == "b" else 31 + tick
        size = 0 if random.random() < 0.25 else random.randint(1, 99_999)
        scale = random.choice((0, 0, 0, 0, 1, 2, 5))
        price_text = number_text(random, price * 10**scale, scale, oddity)
        levels.append([price_text, number_text(random, size, random.choice((0, 1, 3)), oddity)])
        if random.random() < 0.03:
            levels.append(list(levels[random.randrange(len(levels))]))
    return levels


ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 1.0, 1.5, 1e300,
    "", "1", "snapshot", [], {}, [[]], [["1"]], [["1", "2", "3"]], [[1, 2]], ["1", "2"], [None], {"u": 5},
)  # fmt: skip


def wild_book_message(
    random: Random, topic: str, kind: str, update_id: int, seq: int, oddity: float = 0.0
) -> dict[str, Any]:
    """A book message of a small window of prices; `oddity` is the chance that a part is nonsense."""
    _, depth_text, symbol = topic.split(".", 2)
    depth = int(depth_text)
    data: dict[str, Any] = {
        "s": symbol,
        "b": wild_levels(random, "b", depth, oddity / 4),
        "a": wild_levels(random, "a", depth, oddity / 4),
        "u": update_id,
        "seq": seq,
    }
    ts_ms = TS_MS + random.randint(0, 10**6)
    message = {"topic": topic, "type": kind, "ts": ts_ms, "data": data, "cts": ts_ms - random.randint(0, 9)}
    if random.random() < 0.05:
        del message["cts"]
    if random.random() < oddity:
        spoil(random, message, data)
    return message


def wild_trade(random: Random, oddity: float) -> dict[str, Any]:
    alphabet = string.ascii_letters + string.digits + " -_.:/~!#[]{}"
    trade: dict[str, Any] = {
        "T": TS_MS + random.randint(0, 10**6),
        "s": random.choice(("BTCUSDT", "BTC-25DEC26-90000-C", "SOLUSDT_SOL/USDT")),
        "S": random.choice(("Buy", "Sell")),
        "v": number_text(random, random.randint(0, 10**6), 3, oddity / 4),
        "p": number_text(random, random.randint(-(10**6), 10**9), 4, oddity / 4),
        "i": "".join(random.choices(alphabet, k=random.choice((1, 19, 36, 64)))),
    }
    optional = {
        "L": random.choice(
            ("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick", "", "Plus", "plustick")
        ),
        "BT": random.random() < 0.5,
        "RPI": random.random() < 0.5,
        "seq": random.randint(0, 10**12),
        "mP": "498.1",
    }
    trade |= {name: content for name, content in optional.items() if random.random() < 0.7}
    if random.random() < oddity:
        spoil(random, trade, trade)
    if random.random() < oddity / 4:
        trade["i"] = random.choice(("", "x" * 65, "a\tb", "\u00e9", 'quo"te', "back\\slash", "\u007f"))
    return trade


def wild_trade_message(random: Random, oddity: float = 0.0) -> dict[str, Any]:
    trades = [wild_trade(random, oddity / 2) for _ in range(random.choice((0, 1, 1, 2, 5)))]
    message = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": TS_MS, "data": trades}
    if random.random() < oddity / 4:
        spoil(random, message, message)
    return message


def spoil(random: Random, *holders: dict[str, Any]) -> None:
    """Take away one member, or give it a content of the wrong kind."""
    holder = random.choice(holders)
    name = random.choice(sorted(holder))
    if random.random() < 0.3:
        del holder[name]
    else:
        holder[name] = random.choice(ODD_VALUES)
