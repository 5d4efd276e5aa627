"""Answers of REST, read: books, recent trades, candles. What is none raises KeyError, TypeError or ValueError."""

import datetime
from operator import attrgetter
from reprlib import repr as brief

import orjson

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t
from libc.string cimport memcpy, memset

from ext.backfill cimport BACKFILL_TRADES_MAX
from ext.change cimport BookChange, read_levels
from ext.decoded cimport TRADE_ID_BYTES_MAX, Decoded, TradeFields
from ext.fixed cimport PARSE_OK, parse_text
from ext.topics cimport Topic
from ext.updates cimport decimal_ms, read_closed_kline

cdef enum:
    MS_PER_MINUTE = 60_000
    MS_PER_DAY = 86_400_000

cdef object _INT64_MAX = 2**63 - 1


cdef tuple read_answer(object body):
    """(result, time of the answer in ms or 0) of a body: text, bytes, or what they hold decoded."""
    answer = body if isinstance(body, dict) else orjson.loads(body)
    if not isinstance(answer, dict) or answer.get("retCode") != 0:
        raise ValueError(f"retCode must be 0, was {brief(answer)}")
    result = answer.get("result")
    if not isinstance(result, dict):
        raise ValueError(f"result must be an object, was {brief(result)}")
    return result, _integer(answer, "time", 0)


cdef BookChange read_book(dict result, str symbol):
    """A whole book, as a snapshot."""
    cdef BookChange change = BookChange()
    if result["s"] != symbol:
        raise ValueError(f"s must be {symbol!r}, was {brief(result['s'])}")
    change.clear()
    change.is_snapshot = True
    change.update_id = _integer(result, "u", 0)
    change.seq = _integer(result, "seq", 0)
    change.ts_ms = _integer(result, "ts", 0)
    change.cts_ms = _integer(result, "cts", 0)
    if change.update_id < 1:
        raise ValueError(f"u must be at least 1, was {change.update_id}")
    read_levels(change, &change.bid_levels, result["b"])
    read_levels(change, &change.ask_levels, result["a"])
    return change


cdef Py_ssize_t read_trades(Decoded target, dict result) except -1:
    """Into `target`, oldest first; how many. Of a longer answer the latest count."""
    cdef Py_ssize_t count = 0
    trades = result["list"]
    if not isinstance(trades, list):
        raise TypeError(f"list must be an array, was {brief(trades)}")
    # The latest come first; a stable sort of the reversed keeps the order within a millisecond.
    times = sorted([(decimal_ms(fields["time"]), -at) for at, fields in enumerate(trades)])
    times = times[max(len(times) - BACKFILL_TRADES_MAX, 0):]
    target.reserve_trades(len(times))
    target.symbols = []
    for time_ms, place in times:
        fields = trades[-place]
        _read_trade(&target.trades[count], fields, time_ms)
        target.symbols.append(_text(fields, "symbol"))
        count += 1
    target.trade_count = count
    return count


cdef int _read_trade(TradeFields* trade, dict fields, int64_t time_ms) except -1:
    cdef bytes trade_id = _text(fields, "execId").encode()
    memset(trade, 0, sizeof(TradeFields))
    if not trade_id.isascii() or not 1 <= len(trade_id) <= TRADE_ID_BYTES_MAX:
        raise ValueError(f"execId must be 1 to {int(TRADE_ID_BYTES_MAX)} ASCII characters, was {brief(trade_id)}")
    memcpy(trade.trade_id, PyBytes_AS_STRING(trade_id), PyBytes_GET_SIZE(trade_id))
    trade.trade_id_size = <int>PyBytes_GET_SIZE(trade_id)
    _decimal(fields, "price", &trade.price, &trade.price_scale)
    _decimal(fields, "size", &trade.size, &trade.size_scale)
    if trade.size < 0:
        raise ValueError(f"size must not be negative, was {brief(fields['size'])}")
    if fields["side"] not in ("Buy", "Sell"):
        raise ValueError(f'side must be "Buy" or "Sell", was {brief(fields["side"])}')
    trade.is_buy = fields["side"] == "Buy"
    trade.is_block = fields.get("isBlockTrade", False) is True
    trade.is_rpi = fields.get("isRPITrade", False) is True
    trade.time_ms = time_ms
    trade.seq = decimal_ms(fields["seq"]) if fields.get("seq") else 0
    return 0


cdef list read_klines(Topic topic, dict result):
    """Every candle of an answer, the unfinished one included, oldest first."""
    rows = result["list"]
    if not isinstance(rows, list):
        raise TypeError(f"list must be an array, was {brief(rows)}")
    klines = []
    for row in rows:
        if not isinstance(row, list) or not row:
            raise TypeError(f"a candle must be an array, was {brief(row)}")
        klines.append(read_closed_kline(topic, row, _candle_end_ms(topic.interval, decimal_ms(row[0]))))
    return sorted(klines, key=attrgetter("start_ms"))


cdef int64_t _candle_end_ms(str interval, int64_t start_ms) except? -1:
    if interval == "M":
        start = datetime.datetime.fromtimestamp(start_ms // 1000, datetime.UTC)
        following = datetime.datetime(start.year + start.month // 12, start.month % 12 + 1, 1, tzinfo=datetime.UTC)
        return int(following.timestamp()) * 1000 - 1
    if interval == "D" or interval == "W":
        return start_ms + (MS_PER_DAY if interval == "D" else 7 * MS_PER_DAY) - 1
    return start_ms + int(interval) * MS_PER_MINUTE - 1


cdef int64_t _integer(dict fields, str name, int64_t absent) except? -1:
    value = fields.get(name, absent)
    if type(value) is not int or not 0 <= value <= _INT64_MAX:
        raise ValueError(f"{name} must be an integer of at least 0, was {brief(value)}")
    return value


cdef str _text(dict fields, str name):
    value = fields[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, was {brief(value)}")
    return value


cdef int _decimal(dict fields, str name, int64_t* mantissa, int* scale) except -1:
    cdef Py_ssize_t size
    cdef str text = _text(fields, name)
    cdef const char* characters = PyUnicode_AsUTF8AndSize(text, &size)
    if parse_text(characters, size, mantissa, scale) != PARSE_OK:
        raise ValueError(f"{name} must be decimal text of at most 18 digits, was {brief(text)}")
    return 0
