"""One Bybit V5 frame's bytes to a book change, a run of trades, or a decoded object.

Two ways lead to the same result. The fused one reads `orderbook.*` and `publicTrade.*` in a single pass over the bytes,
without a Python object per level; it accepts the plain spelling the venue uses (any key order, white space, unknown
scalar keys) and gives up at anything else. What it gives up on goes through orjson, which is the judge: the fused way
is never more lenient. Other topics always go through orjson.

Sample frames::

    {"topic":"orderbook.50.BTCUSDT","type":"delta","ts":1790000000020,
     "data":{"s":"BTCUSDT","b":[["100.10","0"],["100.00","7.5"]],"a":[],"u":1001,"seq":50040},"cts":1790000000017}
    {"topic":"publicTrade.BTCUSDT","type":"snapshot","ts":1790000000000,"data":[{"T":1789999999998,"s":"BTCUSDT",
     "S":"Buy","v":"0.001","p":"100.30","L":"PlusTick","i":"00000000-0000-5000-8000-000000000001","BT":false,
     "RPI":false,"seq":50041}]}
"""

from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memcpy

from ext.change cimport BookChange, Levels
from ext.decoded cimport (
    BOOK,
    MALFORMED,
    TRADE_ID_BYTES_MAX,
    TRADES,
    FrameKind,
    TradeFields,
    book_symbol,
    is_trade_topic,
)
from ext.fixed cimport DIGITS_MAX
from ext.judge cimport judge
from ext.scan cimport (
    KEY_END,
    Key,
    after,
    equals,
    read_boolean,
    read_decimal,
    read_integer,
    read_key,
    read_pair,
    read_string,
    set_keys,
    skip_scalar,
    skip_space,
)

cdef enum:
    FRAME_BYTES_MIN = 2

# Bits of the keys that have a meaning. A key that comes twice is orjson's to judge.
cdef enum:
    KEY_TOPIC = 1
    KEY_TYPE = 2
    KEY_TS = 4
    KEY_CTS = 8
    KEY_DATA = 16
    ENVELOPE_NEEDS = KEY_TOPIC | KEY_TYPE | KEY_TS | KEY_DATA

cdef enum:
    BOOK_SYMBOL = 1
    BOOK_BIDS = 2
    BOOK_ASKS = 4
    BOOK_UPDATE_ID = 8
    BOOK_SEQ = 16
    BOOK_NEEDS = BOOK_SYMBOL | BOOK_BIDS | BOOK_ASKS | BOOK_UPDATE_ID

cdef enum:
    TRADE_TIME = 1
    TRADE_SYMBOL = 2
    TRADE_SIDE = 4
    TRADE_SIZE = 8
    TRADE_PRICE = 16
    TRADE_ID = 32
    TRADE_DIRECTION = 64
    TRADE_BLOCK = 128
    TRADE_RPI = 256
    TRADE_SEQ = 512
    TRADE_NEEDS = TRADE_TIME | TRADE_SYMBOL | TRADE_SIDE | TRADE_SIZE | TRADE_PRICE | TRADE_ID

cdef enum:
    ENVELOPE_KEYS = 5
    BOOK_KEYS = 5
    TRADE_KEYS = 10

cdef Key[ENVELOPE_KEYS] _ENVELOPE
cdef Key[BOOK_KEYS] _BOOK
cdef Key[TRADE_KEYS] _TRADE

set_keys(_ENVELOPE, {"topic": KEY_TOPIC, "type": KEY_TYPE, "ts": KEY_TS, "data": KEY_DATA, "cts": KEY_CTS})
set_keys(_BOOK, {"s": BOOK_SYMBOL, "b": BOOK_BIDS, "a": BOOK_ASKS, "u": BOOK_UPDATE_ID, "seq": BOOK_SEQ})
set_keys(
    _TRADE,
    {
        "T": TRADE_TIME,
        "s": TRADE_SYMBOL,
        "S": TRADE_SIDE,
        "v": TRADE_SIZE,
        "p": TRADE_PRICE,
        "L": TRADE_DIRECTION,
        "i": TRADE_ID,
        "BT": TRADE_BLOCK,
        "RPI": TRADE_RPI,
        "seq": TRADE_SEQ,
    },
)


cdef inline int _tick_direction(const char* text, Py_ssize_t size) noexcept nogil:
    if equals(text, size, b"PlusTick", 8):
        return 1
    if equals(text, size, b"ZeroPlusTick", 12):
        return 2
    if equals(text, size, b"MinusTick", 9):
        return 3
    if equals(text, size, b"ZeroMinusTick", 13):
        return 4
    return 0


cdef class Decoder(Decoded):
    """Decodes frames one after the other into its own reused fields. Not re-entrant."""

    cdef FrameKind decode(self, const char* frame, Py_ssize_t size) except *:
        """Decode one frame; MALFORMED (never an exception) for anything that is not a proper one."""
        cdef FrameKind kind = MALFORMED
        if size >= FRAME_BYTES_MIN and frame[0] == c"{" and frame[size - 1] == c"}":
            kind = self._decode_fast(frame, size)
        if kind == MALFORMED:
            kind = judge(self, frame, size)
        return kind

    # MALFORMED and NULL mean here: let the judge decide.

    cdef FrameKind _decode_fast(self, const char* frame, Py_ssize_t size) except *:
        cdef:
            const char* at = frame + 1
            const char* end = frame + size
            const char* text
            const char* symbol = NULL
            Py_ssize_t text_size
            Py_ssize_t symbol_size = 0
            Py_ssize_t offset = 0
            int64_t ts_ms = 0
            int64_t cts_ms = 0
            int seen = 0
            int likely = 0
            int key
            bint is_book = False
            bint is_snapshot = False

        self._end = end
        while True:
            at = read_key(at, end, at == frame + 1, _ENVELOPE, ENVELOPE_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == KEY_TOPIC:
                at = read_string(at, end, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                offset = book_symbol(text, text_size)
                if not offset and not is_trade_topic(text, text_size):
                    return MALFORMED
                self.topic = text
                self.topic_size = text_size
            elif key == KEY_TYPE:
                at = read_string(at, end, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                is_snapshot = equals(text, text_size, b"snapshot", 8)
                if not is_snapshot and not equals(text, text_size, b"delta", 5):
                    return MALFORMED
            elif key == KEY_TS:
                at = read_integer(at, end, &ts_ms)
            elif key == KEY_CTS:
                at = read_integer(at, end, &cts_ms)
            elif key == KEY_DATA:
                at = skip_space(at)
                if at[0] == c"{":
                    is_book = True
                    at = self._read_book(at + 1, &symbol, &symbol_size)
                elif at[0] == c"[":
                    at = self._read_trades(at + 1, &symbol, &symbol_size)
                else:
                    return MALFORMED
            elif not seen & KEY_TOPIC:
                return MALFORMED  # most likely a control message
            else:
                at = skip_scalar(at, end)
            if at == NULL or at >= end:
                return MALFORMED
        if at != end or key != KEY_END or seen & ENVELOPE_NEEDS != ENVELOPE_NEEDS:
            return MALFORMED
        if is_book:
            if not offset or not equals(self.topic + offset, self.topic_size - offset, symbol, symbol_size):
                return MALFORMED
            self.change.is_snapshot = is_snapshot
            self.change.ts_ms = ts_ms
            self.change.cts_ms = cts_ms
            return BOOK
        if offset or (self.trade_count and not equals(self.topic + 12, self.topic_size - 12, symbol, symbol_size)):
            return MALFORMED
        self.ts_ms = ts_ms
        return TRADES

    cdef const char* _read_book(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL:
        """The members of a book's data object, past its brace."""
        cdef:
            BookChange change = self.change
            const char* end = self._end
            const char* start = at
            int seen = 0
            int likely = 0
            int key

        change.clear()
        while True:
            at = read_key(at, end, at == start, _BOOK, BOOK_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == BOOK_BIDS:
                at = self._read_levels(at, &change.bid_levels)
            elif key == BOOK_ASKS:
                at = self._read_levels(at, &change.ask_levels)
            elif key == BOOK_SYMBOL:
                at = read_string(at, end, symbol, symbol_size)
            elif key == BOOK_UPDATE_ID:
                at = read_integer(at, end, &change.update_id)
                if change.update_id < 1:
                    return NULL
            elif key == BOOK_SEQ:
                at = read_integer(at, end, &change.seq)
            else:
                at = skip_scalar(at, end)
            if at == NULL:
                return NULL
        return at if at != NULL and key == KEY_END and seen & BOOK_NEEDS == BOOK_NEEDS else NULL

    cdef const char* _read_levels(self, const char* at, Levels* side) except? NULL:
        """An array of [price, size] pairs."""
        cdef:
            Levels levels = side[0]
            const char* end = self._end
            Py_ssize_t count = 0
            int64_t price = 0
            int64_t size = 0
            int price_scale = 0
            int size_scale = 0
            int price_scale_max = 0
            int size_scale_max = 0
            int price_scale_min = DIGITS_MAX
            int size_scale_min = DIGITS_MAX

        at = after(at, c"[")
        if at == NULL:
            return NULL
        at = skip_space(at)
        if at[0] == c"]":
            return at + 1
        while True:
            if count == levels.capacity:
                side.count = count
                self.change.reserve(side, count + 1)
                levels = side[0]
            at = read_pair(at, end, &price, &price_scale, &size, &size_scale)
            if at == NULL:
                return NULL
            # A zero is the same at every scale; how it is spelled must not widen the book.
            size_scale *= size != 0
            levels.prices[count] = price
            levels.sizes[count] = size
            levels.price_scales[count] = <uint8_t>price_scale
            levels.size_scales[count] = <uint8_t>size_scale
            price_scale_max = max(price_scale_max, price_scale)
            size_scale_max = max(size_scale_max, size_scale)
            price_scale_min = min(price_scale_min, price_scale)
            size_scale_min = min(size_scale_min, size_scale if size else <int>DIGITS_MAX)
            count += 1
            if at[0] != c",":
                at = skip_space(at)
                if at[0] == c"]":
                    break
                if at[0] != c",":
                    return NULL
            at += 1
        side.count = count
        self.change.note_scales(price_scale_min, price_scale_max, size_scale_min, size_scale_max)
        return at + 1

    cdef const char* _read_trades(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL:
        """The elements of a trade message's data array, past its bracket. All trades of one symbol."""
        cdef:
            const char* own
            Py_ssize_t own_size

        self.trade_count = 0
        self.symbols = None
        at = skip_space(at)
        if at[0] == c"]":
            return at + 1
        while True:
            self.reserve_trades(self.trade_count + 1)
            at = after(at, c"{")
            if at == NULL:
                return NULL
            at = self._read_trade(at, &self.trades[self.trade_count], &own, &own_size)
            if at == NULL or at >= self._end:
                return NULL
            if self.trade_count and not equals(own, own_size, symbol[0], symbol_size[0]):
                return NULL
            symbol[0] = own
            symbol_size[0] = own_size
            self.trade_count += 1
            at = skip_space(at)
            if at[0] == c"]":
                return at + 1
            if at[0] != c",":
                return NULL
            at += 1

    cdef const char* _read_trade(
        self, const char* at, TradeFields* trade, const char** symbol, Py_ssize_t* symbol_size
    ) noexcept:
        cdef:
            const char* end = self._end
            const char* start = at
            const char* text
            Py_ssize_t text_size
            int seen = 0
            int likely = 0
            int key

        trade.seq = 0
        trade.tick_direction = 0
        trade.is_block = trade.is_rpi = False
        while True:
            at = read_key(at, end, at == start, _TRADE, TRADE_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == TRADE_TIME:
                at = read_integer(at, end, &trade.time_ms)
            elif key == TRADE_SYMBOL:
                at = read_string(at, end, symbol, symbol_size)
            elif key == TRADE_SIDE:
                at = read_string(at, end, &text, &text_size)
                if at == NULL:
                    return NULL
                trade.is_buy = equals(text, text_size, b"Buy", 3)
                if not trade.is_buy and not equals(text, text_size, b"Sell", 4):
                    return NULL
            elif key == TRADE_SIZE:
                at = read_decimal(at, &trade.size, &trade.size_scale)
                if at == NULL or trade.size < 0:
                    return NULL
            elif key == TRADE_PRICE:
                at = read_decimal(at, &trade.price, &trade.price_scale)
            elif key == TRADE_DIRECTION:
                at = read_string(at, end, &text, &text_size)
                if at == NULL:
                    return NULL
                trade.tick_direction = _tick_direction(text, text_size)
            elif key == TRADE_ID:
                at = read_string(at, end, &text, &text_size)
                if at == NULL or text_size < 1 or text_size > TRADE_ID_BYTES_MAX:
                    return NULL
                memcpy(trade.trade_id, text, text_size)
                trade.trade_id_size = <int>text_size
            elif key == TRADE_BLOCK:
                at = read_boolean(at, &trade.is_block)
            elif key == TRADE_RPI:
                at = read_boolean(at, &trade.is_rpi)
            elif key == TRADE_SEQ:
                at = read_integer(at, end, &trade.seq)
            else:
                at = skip_scalar(at, end)
            if at == NULL:
                return NULL
        return at if at != NULL and key == KEY_END and seen & TRADE_NEEDS == TRADE_NEEDS else NULL
