"""Klines, liquidations and notices from their decoded JSON."""

import re
from decimal import Decimal
from reprlib import repr as brief

from libc.stdint cimport int64_t

from ext.decoded cimport KLINE, LIQUIDATIONS, NOTICES, FrameKind
from ext.listener cimport Kline, Liquidation, Notice
from ext.topics cimport Topic

# The member of an entry that says which symbol it is about.
cdef dict _SYMBOL_MEMBERS = {"insurance": "symbols", "adlAlert": "s", "priceLimit": "symbol"}
cdef object _INT64_MAX = 2**63 - 1
# Longer than ext.fixed takes: a turnover may need more than 18 digits.
cdef object _DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


cdef list read_items(FrameKind kind, Topic topic, list elements):
    """The items of a message, not yet stamped; KeyError, TypeError or ValueError where one is none."""
    if kind == KLINE:
        return [read_kline(topic, fields) for fields in elements]
    if kind == LIQUIDATIONS:
        return [read_liquidation(fields) for fields in elements]
    return [read_notice(topic, fields) for fields in elements]


cdef Notice read_notice(Topic topic, dict fields):
    """One entry, its members already texts."""
    cdef Notice notice = Notice()
    notice.topic = topic.name
    notice.kind = topic.name if topic.name == "system.status" else topic.name.partition(".")[0]
    notice.symbol = "" if notice.kind == "system.status" else fields.get(_SYMBOL_MEMBERS.get(notice.kind), topic.symbol)
    notice.fields = fields
    return notice


cdef Kline read_closed_kline(Topic topic, list row, int64_t end_ms):
    """One element of a REST answer: texts of start, open, high, low, close, volume, turnover."""
    names = ("start", "open", "high", "low", "close", "volume", "turnover")
    if len(row) != len(names):
        raise ValueError(f"a candle must be {', '.join(names)}, was {brief(row)}")
    fields = dict(zip(names, row))
    fields |= {"start": decimal_ms(row[0]), "end": end_ms, "confirm": True, "timestamp": end_ms}
    cdef Kline kline = read_kline(topic, fields)
    kline.is_backfill = True
    return kline


cdef Kline read_kline(Topic topic, dict fields):
    """One element of a kline message; KeyError or ValueError for what is none."""
    cdef Kline kline = Kline()
    kline.interval = topic.interval
    kline.start_ms = _milliseconds(fields, "start")
    kline.end_ms = _milliseconds(fields, "end")
    kline.open = _number(fields, "open")
    kline.high = _number(fields, "high")
    kline.low = _number(fields, "low")
    kline.close = _number(fields, "close")
    kline.volume = _number(fields, "volume")
    kline.turnover = _number(fields, "turnover")
    kline.is_closed = _flag(fields, "confirm")
    kline.time_ms = _milliseconds(fields, "timestamp")
    return kline


cdef Liquidation read_liquidation(dict fields):
    """One element of an allLiquidation message; KeyError or ValueError for what is none."""
    cdef Liquidation liquidation = Liquidation()
    side = fields["S"]
    symbol = fields["s"]
    if side not in ("Buy", "Sell"):
        raise ValueError(f'S must be "Buy" or "Sell", was {brief(side)}')
    if not isinstance(symbol, str):
        raise ValueError(f"s must be text, was {brief(symbol)}")
    liquidation.symbol = symbol
    liquidation.side = side
    liquidation.price = _number(fields, "p")
    liquidation.size = _number(fields, "v")
    liquidation.time_ms = _milliseconds(fields, "T")
    return liquidation


cdef object _number(dict fields, str name):
    text = fields[name]
    if not isinstance(text, str):
        raise ValueError(f"{name} must be decimal text, was {brief(text)}")
    if _DECIMAL.fullmatch(text) is None:
        raise ValueError(f"{name} must be plain decimal text, was {brief(text)}")
    return Decimal(text)


cdef int64_t _milliseconds(dict fields, str name) except? -1:
    value = fields[name]
    if type(value) is not int or not 0 <= value <= _INT64_MAX:
        raise ValueError(f"{name} must be an integer of ms, at least 0, was {brief(value)}")
    return value


cdef bint _flag(dict fields, str name) except -1:
    value = fields[name]
    if value is not True and value is not False:
        raise ValueError(f"{name} must be true or false, was {brief(value)}")
    return value


cdef int64_t decimal_ms(object text) except? -1:
    """Milliseconds as REST spells them: decimal text."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise ValueError(f"a time must be text of at most 18 digits, was {brief(text)}")
    return int(text)


cdef str content_of(FrameKind kind, list items, object data):
    """What would be lost with this message; None where the next one of its kind would make up for it."""
    cdef Kline kline
    if kind == KLINE:
        closed = [kline.start_ms for kline in items if kline.is_closed]
        return repr(closed) if closed else None
    if kind == NOTICES and items and (<Notice>items[0]).kind in ("priceLimit", "adlAlert"):
        return None
    return repr(data)
