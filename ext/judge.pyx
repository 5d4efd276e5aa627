"""Any frame's content through orjson: slower than the fused decoder, and the judge of what it gives up on.

What is refused here is refused. Rules: docs/design.md, and the grammar of ``ext.fixed`` for numbers.
"""

import json
from reprlib import repr as brief

import orjson

from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcmp, memcpy

from ext.change cimport BookChange, Levels
from ext.decoded cimport (
    BOOK,
    BOOK_FULL,
    BOOK_RPI,
    CONTROL,
    KLINE,
    LIQUIDATIONS,
    MALFORMED,
    NOTICES,
    TICKER,
    TRADE_ID_BYTES_MAX,
    TRADES,
    UNKNOWN_TOPIC,
    Decoded,
    FrameKind,
    TradeFields,
    book_symbol,
)
from ext.fixed cimport PARSE_OK, parse_text

cdef dict _TICK_DIRECTIONS = {"PlusTick": 1, "ZeroPlusTick": 2, "MinusTick": 3, "ZeroMinusTick": 4}
cdef int64_t _INT64_MAX = 0x7FFFFFFFFFFFFFFF


cdef frozenset _NOTICE_KINDS = frozenset(("insurance", "adlAlert", "priceLimit", "system"))


class _Refused(Exception):
    """The frame is valid JSON but not what its topic promises; the text says what was expected."""


cdef FrameKind judge(Decoded decoded, const char* frame, Py_ssize_t size) except *:
    try:
        message = orjson.loads(PyMemoryView_FromMemory(<char*>frame, size, PyBUF_READ))
    except orjson.JSONDecodeError as error:
        _find_topic(decoded, frame, size)
        decoded.refusal = f"not JSON: {error}"
        return MALFORMED
    decoded.message = message
    decoded.topic = NULL
    decoded.topic_size = 0
    if not isinstance(message, dict):
        decoded.refusal = f"expected an object, was {type(message).__name__}"
        return MALFORMED
    topic = message.get("topic")
    if topic is None:
        return CONTROL
    if not isinstance(topic, str):
        decoded.refusal = f"topic must be text, was {type(topic).__name__}"
        return MALFORMED
    decoded.topic = PyUnicode_AsUTF8AndSize(topic, &decoded.topic_size)
    try:
        if topic.partition(".")[0] in _NOTICE_KINDS:
            return _take_notices(decoded, frame, size)
        return _decode_topic(decoded, topic, message)
    except _Refused as refusal:
        decoded.refusal = str(refusal)
        return MALFORMED


cdef FrameKind _decode_topic(Decoded decoded, str topic, dict message) except *:
    cdef Py_ssize_t offset = book_symbol(decoded.topic, decoded.topic_size)
    kind, _, rest = topic.partition(".")
    if offset:
        decoded.fallbacks += 1
        _take_book(decoded, decoded.change, message, topic.split(".", 2)[2], 1, 2)
        return BOOK
    if kind == "orderbook" and rest.startswith("rpi.") and len(rest) > 4:
        _take_book(decoded, decoded.change, message, rest[4:], 1, 3)
        _take_book(decoded, decoded.rpi_change, message, rest[4:], 2, 3)
        return BOOK_RPI
    if kind == "orderbook" and rest.startswith("full.") and len(rest) > 5:
        _take_book(decoded, decoded.change, message, rest[5:], 1, 2)
        if decoded.is_snapshot:
            raise _Refused('type must be "delta" for a topic without snapshots, was "snapshot"')
        return BOOK_FULL
    if kind == "publicTrade" and rest:
        decoded.fallbacks += 1
        _take_trades(decoded, message, rest)
        return TRADES
    if kind == "tickers" and rest:
        _take_envelope(decoded, message)
        decoded.seq = _integer(message, "cs", 0, 0)
        decoded.data = _ticker_fields(message, rest)
        return TICKER
    if kind == "kline" and rest.partition(".")[2]:
        _take_envelope(decoded, message)
        decoded.data = _elements(message, list)
        return KLINE
    if kind == "allLiquidation" and rest:
        _take_envelope(decoded, message)
        decoded.data = _elements(message, (list, dict))
        return LIQUIDATIONS
    return UNKNOWN_TOPIC


cdef void _find_topic(Decoded decoded, const char* frame, Py_ssize_t size) noexcept:
    """The topic of a frame that is not JSON, where it still begins as the venue's frames do."""
    cdef Py_ssize_t at = 10
    decoded.topic = NULL
    decoded.topic_size = 0
    if size > 10 and memcmp(frame, b'{"topic":"', 10) == 0:
        while at < size and 0x20 <= frame[at] <= 0x7E and frame[at] != c'"' and frame[at] != c"\\":
            at += 1
        if at < size and frame[at] == c'"':
            decoded.topic = frame + 10
            decoded.topic_size = at - 10


cdef int _take_envelope(Decoded decoded, dict message) except -1:
    kind = message.get("type")
    if kind != "snapshot" and kind != "delta":
        raise _Refused(f'type must be "snapshot" or "delta", was {brief(kind)}')
    decoded.is_snapshot = kind == "snapshot"
    decoded.ts_ms = _integer(message, "ts", 0, None)
    return 0


cdef int _take_book(
    Decoded decoded, BookChange change, dict message, str symbol, int column, int columns
) except -1:
    """Levels are [price, size], or with RPI [price, size, rpi size]; `column` is that of the size to take."""
    _take_envelope(decoded, message)
    data = message.get("data")
    if not isinstance(data, dict):
        raise _Refused(f"data must be an object, was {type(data).__name__}")
    if data.get("s") != symbol:
        raise _Refused(f"data.s must be the topic's symbol {symbol!r}, was {brief(data.get('s'))}")
    change.clear()
    change.is_snapshot = decoded.is_snapshot
    change.ts_ms = decoded.ts_ms
    change.cts_ms = _integer(message, "cts", 0, 0)
    change.update_id = _integer(data, "u", 1, None)
    change.seq = _integer(data, "seq", 0, 0)
    _take_levels(change, &change.bid_levels, data.get("b"), "b", column, columns)
    _take_levels(change, &change.ask_levels, data.get("a"), "a", column, columns)
    return 0


cdef int _take_levels(
    BookChange change, Levels* side, object levels, str name, int column, int columns
) except -1:
    cdef:
        int price_scale, size_scale
        Py_ssize_t count = 0

    if not isinstance(levels, list):
        raise _Refused(f"data.{name} must be an array, was {type(levels).__name__}")
    change.reserve(side, len(levels))
    for level in levels:
        if not isinstance(level, list) or len(level) != columns:
            form = "[price, size]" if columns == 2 else "[price, size, rpi size]"
            raise _Refused(f"a level of data.{name} must be {form}, was {brief(level)}")
        _decimal(level[0], "price", &side.prices[count], &price_scale)
        _decimal(level[column], "size", &side.sizes[count], &size_scale)
        if side.sizes[count] < 0:
            raise _Refused(f"size must not be negative, was {brief(level[column])}")
        if side.sizes[count] == 0:
            size_scale = 0  # as in the fused decoder: how a zero is spelled must not widen the book
        side.price_scales[count] = <uint8_t>price_scale
        side.size_scales[count] = <uint8_t>size_scale
        change.note_scales(price_scale, price_scale, size_scale, size_scale)
        count += 1
    side.count = count
    return 0


cdef FrameKind _take_notices(Decoded decoded, const char* frame, Py_ssize_t size) except *:
    """Entries as texts. Numbers keep the digits that were sent: a float might spell them otherwise."""
    cdef list entries = _elements(decoded.message, (list, dict))
    decoded.is_snapshot = decoded.message.get("type") != "delta"
    decoded.ts_ms = _integer(decoded.message, "ts", 0, None)
    try:
        spelled = json.loads(frame[:size].decode(), parse_int=str, parse_float=str)["data"]
    except RecursionError:
        raise _Refused("values are nested too deeply") from None
    if not isinstance(spelled, list):
        spelled = [spelled]
    decoded.data = []
    for entry, texts in zip(entries, spelled):
        decoded.data.append(
            {name: _member_text(name, texts[name] if isinstance(texts[name], str) else entry[name]) for name in entry}
        )
    return NOTICES


cdef int _take_trades(Decoded decoded, dict message, str symbol) except -1:
    cdef TradeFields* trade
    _take_envelope(decoded, message)
    trades = message.get("data")
    if not isinstance(trades, list):
        raise _Refused(f"data must be an array, was {type(trades).__name__}")
    decoded.reserve_trades(len(trades))
    decoded.trade_count = 0
    symbols = []
    for fields in trades:
        if not isinstance(fields, dict):
            raise _Refused(f"a trade must be an object, was {type(fields).__name__}")
        trade = &decoded.trades[decoded.trade_count]
        symbols.append(_text(fields, "s"))
        trade.time_ms = _integer(fields, "T", 0, None)
        trade.seq = _integer(fields, "seq", 0, 0)
        _decimal(fields.get("p"), "p", &trade.price, &trade.price_scale)
        _decimal(fields.get("v"), "v", &trade.size, &trade.size_scale)
        if trade.size < 0:
            raise _Refused(f"v must not be negative, was {brief(fields['v'])}")
        side = fields.get("S")
        if side != "Buy" and side != "Sell":
            raise _Refused(f'S must be "Buy" or "Sell", was {brief(side)}')
        trade.is_buy = side == "Buy"
        trade.is_block = _boolean(fields, "BT")
        trade.is_rpi = _boolean(fields, "RPI")
        direction = fields.get("L")
        trade.tick_direction = _TICK_DIRECTIONS.get(direction, 0) if isinstance(direction, str) else 0
        _take_trade_id(trade, fields)
        decoded.trade_count += 1
    decoded.symbols = symbols if any([own != symbol for own in symbols]) else None
    return 0


cdef int64_t _integer(dict fields, str name, int64_t least, object default) except? -1:
    """A JSON integer of at least `least`; the default where it is absent and there is one."""
    value = fields.get(name)
    if value is None and name not in fields and default is not None:
        return default
    if type(value) is not int or value < least or value > _INT64_MAX:
        raise _Refused(f"{name} must be an integer of at least {least}, was {brief(value)}")
    return value


cdef str _text(dict fields, str name):
    value = fields.get(name)
    if not isinstance(value, str):
        raise _Refused(f"{name} must be text, was {brief(value)}")
    return value


cdef bint _boolean(dict fields, str name) except -1:
    value = fields.get(name, False)
    if value is not True and value is not False:
        raise _Refused(f"{name} must be true or false, was {brief(value)}")
    return value


cdef int _decimal(object text, str name, int64_t* mantissa, int* scale) except -1:
    cdef:
        const char* characters
        Py_ssize_t size

    if not isinstance(text, str):
        raise _Refused(f"{name} must be decimal text, was {brief(text)}")
    characters = PyUnicode_AsUTF8AndSize(text, &size)
    if parse_text(characters, size, mantissa, scale) != PARSE_OK:
        raise _Refused(f"{name} must be decimal text of at most 18 digits, was {brief(text)}")
    return 0


cdef int _take_trade_id(TradeFields* trade, dict fields) except -1:
    cdef bytes encoded
    text = fields.get("i")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not 1 <= len(text) <= TRADE_ID_BYTES_MAX:
        raise _Refused(f"i must be 1 to {int(TRADE_ID_BYTES_MAX)} printable ASCII characters, was {brief(text)}")
    encoded = text.encode("ascii")
    memcpy(trade.trade_id, PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
    trade.trade_id_size = <int>PyBytes_GET_SIZE(encoded)
    return 0


cdef object _elements(dict message, object kinds):
    """The data member as a list of objects."""
    data = message.get("data")
    if not isinstance(data, kinds):
        raise _Refused(f"data must be an array of objects, was {type(data).__name__}")
    elements = data if isinstance(data, list) else [data]
    for element in elements:
        if not isinstance(element, dict):
            raise _Refused(f"data must be an array of objects, has {type(element).__name__}")
    return elements


cdef dict _ticker_fields(dict message, str symbol):
    data = message.get("data")
    if not isinstance(data, dict) or data.get("symbol") != symbol:
        raise _Refused(f"data must be an object with symbol {symbol!r}")
    return {name: _member_text(name, value) for name, value in data.items() if name != "symbol"}


cdef str _member_text(str name, object value):
    """A member as text: what is no JSON string, as its JSON."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise _Refused(f"{name} cannot be kept as text: {error}") from None
