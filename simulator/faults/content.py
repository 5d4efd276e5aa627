"""Faults of content: frames that are damaged, or well-formed and wrong."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from simulator.faults.actions import Binary, Fragments, Timed
from simulator.faults.fault import Fault, Frame, Kind
from simulator.faults.order import BOOKS, SNAPSHOT

Message = dict[str, Any]
INTEGER = re.compile(rb'"(u|seq|cs|ts|T)":(\d+)')
TIME = re.compile(rb'"(ts|cts|T)":(\d+)')
UPDATE_ID = re.compile(rb'"u":(\d+)')
TRADES = {"topic": "publicTrade.*"}

Apply = Callable[[Fault, Frame], list[Timed] | None]


def _bytes(change: Callable[[Fault, bytes], bytes]) -> Apply:
    return lambda fault, frame: [(0, change(fault, frame.payload))]


def _edited(change: Callable[[Fault, Message], bool | None], needs: str = "") -> Apply:
    """Return a fault that edits the message; where `change` returns False there is nothing to edit.

    `needs` is `book` or `trades` for a fault of such messages only.
    """

    def apply(fault: Fault, frame: Frame) -> list[Timed] | None:
        message = _message(frame.payload, needs)
        if message is None or change(fault, message) is False:
            return None
        return [(0, orjson.dumps(message))]

    return apply


def _message(payload: bytes, needs: str) -> Message | None:
    try:
        message = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    data = message.get("data") if isinstance(message, dict) else None
    if needs == "book" and not (isinstance(data, dict) and "b" in data):
        return None
    if needs == "trades" and not (isinstance(data, list) and data and "T" in data[0]):
        return None
    if needs == "data" and data is None:
        return None
    return message if isinstance(message, dict) else None


def _first_integer(text: Callable[[bytes], bytes]) -> Apply:
    def apply(fault: Fault, frame: Frame) -> list[Timed] | None:
        changed, count = INTEGER.subn(lambda m: b'"%b":%b' % (m[1], text(m[2])), frame.payload, count=1)
        return [(0, changed)] if count else None

    return apply


def rewritten(pattern: re.Pattern[bytes], payload: bytes, offset: int) -> bytes:
    """Return a payload whose numbers that match are moved by an offset."""
    return pattern.sub(lambda found: found[0].replace(found[2], b"%d" % (int(found[2]) + offset)), payload)


def _moved_update_id(offset: Callable[[Fault, int], int]) -> Apply:
    """Return a fault that changes `u`: `offset` returns what is added to it."""

    def apply(fault: Fault, frame: Frame) -> list[Timed] | None:
        found = UPDATE_ID.search(frame.payload)
        if found is None:
            return None
        number = int(found[1])
        changed = b'"u":%d' % (number + offset(fault, number))
        return [(0, frame.payload[: found.start()] + changed + frame.payload[found.end() :])]

    return apply


def _clock(fault: Fault, frame: Frame) -> list[Timed]:
    return [(0, rewritten(TIME, frame.payload, int(fault.values["by_ms"])))]


def _damage(fault: Fault, payload: bytes) -> bytes:
    place = len(payload) // 2
    return payload[:place] + b"\xff\xfe" + payload[place + 2 :]


def _rows(message: Message, side: str) -> list[list[str]]:
    return [row for row in message["data"][side] if Decimal(row[1])]


def _far_ask(message: Message) -> str | None:
    """Return a price on the grid that is far above the book: twice that of some level."""
    for row in message["data"]["a"] + message["data"]["b"]:
        if Decimal(row[0]) > 0:
            return str(Decimal(row[0]) * 2)
    return None


def _added(side: str, size: str) -> Callable[[Fault, Message], bool | None]:
    def change(fault: Fault, message: Message) -> bool | None:
        price = _far_ask(message)
        if price is None:
            return False
        rows = message["data"][side]
        row = [price, size, "0"] if rows and len(rows[0]) == 3 else [price, size]
        rows.insert(0 if side == "b" else len(rows), row)
        return None

    return change


def _empty_side(fault: Fault, message: Message) -> None:
    message["data"][fault.values["side"]] = []


def _unsorted(fault: Fault, message: Message) -> bool | None:
    data = message["data"]
    if max(len(data["b"]), len(data["a"])) < 2:
        return False
    data["b"].reverse()
    data["a"].reverse()
    return None


def _off_grid(fault: Fault, message: Message) -> bool | None:
    rows = _rows(message, "b") or _rows(message, "a")
    if not rows:
        return False
    price = rows[0][0]
    rows[0][0] = f"{price}{'' if '.' in price else '.'}0001"
    return None


def _changed_digit(fault: Fault, message: Message) -> bool | None:
    rows = _rows(message, "b") or _rows(message, "a")
    if not rows:
        return False
    rows[0][1] = ("2" if rows[0][1][0] == "1" else "1") + rows[0][1][1:]
    return None


def _exponent_price(fault: Fault, message: Message) -> bool | None:
    rows = _rows(message, "b") or _rows(message, "a")
    if not rows:
        return False
    rows[0][0] = f"{Decimal(rows[0][0]):e}"
    return None


def _older_seq(fault: Fault, message: Message) -> None:
    message["data"]["seq"] -= fault.values["by"]


def _crossed_symbol(fault: Fault, message: Message) -> None:
    message["data"]["s"] = "OTHERUSDT"


def _repeated_trade(fault: Fault, message: Message) -> None:
    message["data"].append(message["data"][-1])


def _disordered_trades(fault: Fault, message: Message) -> bool | None:
    if len(message["data"]) < 2:
        return False
    message["data"].reverse()
    message["data"][-1]["T"] -= 1
    return None


def _old_trade(fault: Fault, message: Message) -> None:
    message["data"][0]["T"] -= fault.values["by_ms"]


def _foreign_ack(fault: Fault, message: Message) -> None:
    message["req_id"] = "someone-else"


def _unknown_topic(fault: Fault, message: Message) -> None:
    message["topic"] = "sparkle." + message["topic"].partition(".")[2]


def _unknown_type(fault: Fault, message: Message) -> None:
    message["type"] = "patch"


def _unknown_field(fault: Fault, message: Message) -> None:
    message["novelty"] = {"a": [1, {"b": None}]}


def _without_data(fault: Fault, message: Message) -> None:
    del message["data"]


def _wrong_type(fault: Fault, message: Message) -> None:
    message["data"] = "a text"


def _null_field(fault: Fault, message: Message) -> bool | None:
    if not isinstance(message["data"], dict):
        return False
    message["data"][next(reversed(message["data"]))] = None
    return None


CONTENT: dict[str, Kind] = {
    "truncated": Kind(
        "frame", "the frame ends in the middle of its JSON", _bytes(lambda _, text: text[: len(text) // 2])
    ),
    "invalid_utf8": Kind("frame", "two bytes are no UTF-8", _bytes(_damage)),
    "trailing_bytes": Kind(
        "frame", "something follows the JSON object", _bytes(lambda _, text: text + b"}x")
    ),
    "empty_frame": Kind("frame", "a frame without a byte", _bytes(lambda _, text: b"")),
    "not_an_object": Kind("frame", "JSON that is no object", _bytes(lambda _, text: b"[1,2,3]")),
    "deep_nesting": Kind(
        "frame",
        "`depth` open brackets",
        _bytes(lambda fault, text: text[:-1] + b',"deep":' + b"[" * int(fault.values["depth"])),
        {"depth": 100_000},
    ),
    "oversize": Kind(
        "frame",
        "the frame has `bytes` bytes",
        _bytes(lambda fault, text: text.ljust(int(fault.values["bytes"]))),
        {"bytes": 20 << 20},
    ),
    "respelled": Kind(
        "frame",
        "the same JSON with spaces and line ends (legal)",
        _bytes(lambda _, text: orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2)),
    ),
    "fragmented": Kind(
        "frame",
        "the message comes in `parts` websocket frames (legal)",
        lambda fault, frame: [(0, Fragments(frame.payload, int(fault.values["parts"])))],
        {"parts": 3},
    ),
    "binary_frame": Kind(
        "frame", "the message is of the binary kind", lambda _, frame: [(0, Binary(frame.payload))]
    ),
    "huge_number": Kind("frame", "an integer of 31 digits", _first_integer(lambda _: b"1" + b"0" * 30)),
    "exponent_number": Kind(
        "frame", "an integer as 1.79e12", _first_integer(lambda digits: b"%e" % float(digits))
    ),
    "negative_number": Kind("frame", "an integer below 0", _first_integer(lambda digits: b"-" + digits)),
    "exponent_price": Kind("frame", "a price as 8.67e4", _edited(_exponent_price, "book"), defaults=BOOKS),
    "unknown_topic": Kind("frame", "a topic nobody knows", _edited(_unknown_topic, "data")),
    "unknown_type": Kind("frame", "a type nobody knows", _edited(_unknown_type), defaults=BOOKS),
    "unknown_field": Kind("frame", "one field more (legal)", _edited(_unknown_field)),
    "missing_field": Kind("frame", "no data field", _edited(_without_data, "data")),
    "wrong_type": Kind("frame", "data is a text", _edited(_wrong_type, "data")),
    "null_field": Kind("frame", "a field of data is null", _edited(_null_field, "data"), defaults=BOOKS),
    "wrong_symbol": Kind(
        "frame", "data names another symbol than the topic", _edited(_crossed_symbol, "book"), defaults=BOOKS
    ),
    "u_ahead": Kind(
        "frame",
        "u of one frame is `by` too high",
        _moved_update_id(lambda fault, _: fault.values["by"]),
        {"by": 7},
        BOOKS,
    ),
    "u_behind": Kind(
        "frame",
        "u of one frame is `by` too low",
        _moved_update_id(lambda fault, _: -fault.values["by"]),
        {"by": 7},
        BOOKS,
    ),
    "u_repeated": Kind(
        "frame",
        "other content under the u before",
        _moved_update_id(lambda _f, _u: -1),
        defaults={**BOOKS, "only": "delta"},
    ),
    "delta_u1": Kind(
        "frame",
        "a delta with u = 1",
        _moved_update_id(lambda _, number: 1 - number),
        defaults={**BOOKS, "only": "delta"},
    ),
    "seq_behind": Kind("frame", "seq goes back", _edited(_older_seq, "book"), {"by": 1_000_000}, BOOKS),
    "crossed_book": Kind(
        "frame", "a bid at twice the price", _edited(_added("b", "1"), "book"), defaults=BOOKS
    ),
    "empty_side": Kind(
        "frame",
        "a snapshot whose side `side` is empty",
        _edited(_empty_side, "book"),
        {"side": "a"},
        SNAPSHOT,
    ),
    "delete_absent": Kind(
        "frame",
        "a level that is not there is deleted (legal)",
        _edited(_added("a", "0"), "book"),
        defaults={**BOOKS, "only": "delta"},
    ),
    "level_too_many": Kind(
        "frame", "one level more than the depth", _edited(_added("a", "1"), "book"), defaults=BOOKS
    ),
    "unsorted_levels": Kind(
        "frame", "levels worst first (legal)", _edited(_unsorted, "book"), defaults=BOOKS
    ),
    "off_grid_price": Kind("frame", "a price between two ticks", _edited(_off_grid, "book"), defaults=BOOKS),
    "changed_digit": Kind(
        "frame", "another size, well-formed", _edited(_changed_digit, "book"), defaults=BOOKS
    ),
    "trade_repeated": Kind(
        "frame", "a trade twice in one message", _edited(_repeated_trade, "trades"), defaults=TRADES
    ),
    "trade_message_twice": Kind(
        "frame", "a message of trades again", lambda _, frame: [(0, frame.payload)] * 2, defaults=TRADES
    ),
    "trades_disordered": Kind(
        "frame", "trades newest first", _edited(_disordered_trades, "trades"), defaults=TRADES
    ),
    "trade_from_the_past": Kind(
        "frame",
        "a trade `by_ms` older than those before",
        _edited(_old_trade, "trades"),
        {"by_ms": 60_000},
        TRADES,
    ),
    "clock_jump": Kind(
        "frame",
        "the venue's times are off by `by_ms`",
        _clock,
        {"by_ms": 3_600_000},
        {"topic": "*.*", "times": 0},
    ),
    "gateway_u": Kind(
        "frame",
        "u is `by` higher throughout: a gateway that counts by itself",
        _moved_update_id(lambda fault, _: fault.values["by"]),
        {"by": 1_000_000},
        {**BOOKS, "times": 0},
    ),
    "ack_foreign": Kind(
        "frame",
        "the acknowledgement has another req_id",
        _edited(_foreign_ack),
        defaults={"topic": "subscribe"},
    ),
    "pong_damaged": Kind("frame", "a pong that is no UTF-8", _bytes(_damage), defaults={"topic": "ping"}),
}
