"""One frame to one message, the slow way: the standard library's json and a check per field."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from tests.support.oracle_book import Change
from tests.support.oracle_fixed import Number, parse

INT64_MAX = 2**63 - 1
BOOK_TOPIC = re.compile(r"orderbook\.([1-9][0-9]{0,3})\.(.+)", re.DOTALL)
TRADE_ID = re.compile(r"[ -~]{1,64}")
TICK_DIRECTIONS = ("PlusTick", "ZeroPlusTick", "MinusTick", "ZeroMinusTick")


@dataclass(frozen=True)
class BookMessage:
    topic: str
    symbol: str
    depth: int
    is_snapshot: bool
    bids: Change
    asks: Change
    update_id: int
    seq: int
    ts_ms: int
    cts_ms: int


@dataclass(frozen=True)
class SlowTrade:
    symbol: str
    trade_id: str
    side: str
    price: Number
    size: Number
    time_ms: int
    tick_direction: str
    is_block: bool
    is_rpi: bool
    seq: int


@dataclass(frozen=True)
class TradeMessage:
    topic: str
    ts_ms: int
    trades: tuple[SlowTrade, ...]


@dataclass(frozen=True)
class Refused:
    """Not a message. `topic` is None where the frame is not even JSON: its topic cannot be trusted."""

    topic: str | None
    reason: str


@dataclass(frozen=True)
class Other:
    """A message that is neither of a book nor of trades."""

    topic: str | None


Decoded = BookMessage | TradeMessage | Refused | Other


@dataclass
class Verdict:
    decoded: Decoded
    # Some number, in a place nobody reads, is beyond what a double holds. RFC 8259 lets a parser refuse that.
    beyond_double: bool = False


class RefusedFieldError(Exception):
    pass


def decode(frame: bytes) -> Verdict:
    verdict = Verdict(Other(None))

    def number(text: str) -> int | float:
        is_long = len(text) > 300 or not re.fullmatch(r"-?[0-9]+", text)
        result = float(text) if is_long else int(text)
        if isinstance(result, float) and math.isinf(result):
            verdict.beyond_double = True
        return result

    def refuse_constant(text: str) -> None:
        raise ValueError(f"{text} is not JSON")

    def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        for name, content in pairs:
            refuse_lone_surrogates(name)
            refuse_lone_surrogates(content)
        return dict(pairs)

    try:
        message = json.loads(
            frame.decode("utf-8"),
            parse_int=number,
            parse_float=number,
            parse_constant=refuse_constant,
            object_pairs_hook=members,
        )
    except (ValueError, RecursionError) as error:
        verdict.decoded = Refused(None, str(error))
    else:
        verdict.decoded = classify(message)
    return verdict


def refuse_lone_surrogates(content: object) -> None:
    if isinstance(content, str):
        content.encode("utf-8")
    elif isinstance(content, list):
        for element in content:
            refuse_lone_surrogates(element)


def classify(message: object) -> Decoded:
    if not isinstance(message, dict):
        return Refused(None, "the frame is not an object")
    if "topic" not in message:
        return Other(None)
    topic = message["topic"]
    if not isinstance(topic, str):
        return Other("")
    match = BOOK_TOPIC.fullmatch(topic)
    try:
        if match is not None and int(match[1]) <= 1000:
            return book_message(message, topic, match[2], int(match[1]))
        if topic.startswith("publicTrade.") and topic != "publicTrade.":
            return trade_message(message, topic)
    except RefusedFieldError as error:
        return Refused(topic, str(error))
    return Other(topic)


def book_message(message: dict[str, Any], topic: str, symbol: str, depth: int) -> BookMessage:
    data = message.get("data")
    require(message.get("type") in ("snapshot", "delta"), "type")
    require(isinstance(data, dict) and data.get("s") == symbol, "data")
    return BookMessage(
        topic=topic,
        symbol=symbol,
        depth=depth,
        is_snapshot=message["type"] == "snapshot",
        bids=levels(data, "b"),
        asks=levels(data, "a"),
        update_id=integer(data, "u", at_least=1),
        seq=integer(data, "seq", default=0),
        ts_ms=integer(message, "ts"),
        cts_ms=integer(message, "cts", default=0),
    )


def trade_message(message: dict[str, Any], topic: str) -> TradeMessage:
    data = message.get("data")
    require(message.get("type") in ("snapshot", "delta"), "type")
    require(isinstance(data, list), "data")
    return TradeMessage(topic, integer(message, "ts"), tuple(trade(fields) for fields in data))


def trade(fields: object) -> SlowTrade:
    require(isinstance(fields, dict), "data")
    assert isinstance(fields, dict)
    require(isinstance(fields.get("s"), str), "s")
    require(fields.get("S") in ("Buy", "Sell"), "S")
    trade_id = fields.get("i")
    require(isinstance(trade_id, str) and TRADE_ID.fullmatch(trade_id) is not None, "i")
    direction = fields.get("L")
    return SlowTrade(
        symbol=fields["s"],
        trade_id=trade_id,
        side=fields["S"],
        price=number_text(fields.get("p"), "p"),
        size=size_text(fields.get("v"), "v"),
        time_ms=integer(fields, "T"),
        tick_direction=direction if isinstance(direction, str) and direction in TICK_DIRECTIONS else "",
        is_block=flag(fields, "BT"),
        is_rpi=flag(fields, "RPI"),
        seq=integer(fields, "seq", default=0),
    )


def levels(data: dict[str, Any], name: str) -> Change:
    entries = data.get(name)
    require(isinstance(entries, list), name)
    for entry in entries:
        require(isinstance(entry, list) and len(entry) == 2, name)
    return [(number_text(price, name), size_text(size, name)) for price, size in entries]


def number_text(text: object, name: str) -> Number:
    require(isinstance(text, str), name)
    try:
        return parse(str(text))
    except ValueError as error:
        raise RefusedFieldError(f"{name}: {error}") from error


def size_text(text: object, name: str) -> Number:
    number = number_text(text, name)
    require(number[0] >= 0, name)
    return number


def integer(fields: dict[str, Any], name: str, *, at_least: int = 0, default: int | None = None) -> int:
    number = fields.get(name, default)
    require(type(number) is int and at_least <= number <= INT64_MAX, name)
    assert isinstance(number, int)
    return number


def flag(fields: dict[str, Any], name: str) -> bool:
    content = fields.get(name, False)
    require(isinstance(content, bool), name)
    return bool(content)


def require(condition: bool, name: str) -> None:
    if not condition:
        raise RefusedFieldError(name)
