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

import orjson

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.book cimport BookChange, Levels
from ext.fixed cimport DIGITS_MAX, PARSE_OK, parse_text

cdef enum:
    DEPTH_MAX = 1000
    TRADES_CAPACITY_MIN = 64
    FRAME_BYTES_MIN = 2

# Bits of keys seen: a key that comes twice is orjson's to judge.
cdef enum:
    SEEN_TOPIC = 1
    SEEN_TYPE = 2
    SEEN_TS = 4
    SEEN_CTS = 8
    SEEN_DATA = 16
    SEEN_SYMBOL = 32
    SEEN_BIDS = 64
    SEEN_ASKS = 128
    SEEN_U = 256
    SEEN_SEQ = 512
    SEEN_BOOK = SEEN_SYMBOL | SEEN_BIDS | SEEN_ASKS | SEEN_U

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

cdef dict _TICK_DIRECTIONS = {"PlusTick": 1, "ZeroPlusTick": 2, "MinusTick": 3, "ZeroMinusTick": 4}
cdef int64_t _INT64_MAX = 0x7FFFFFFFFFFFFFFF


# --- scanning ------------------------------------------------------------------------------------------------------
# The caller guarantees that the frame's last byte is "}". No loop below passes a "}" but where it ends an object, so
# only there the end of the frame is checked.
# NULL means: not the plain spelling.

cdef inline const char* _skip_space(const char* at) noexcept nogil:
    while at[0] == c" " or at[0] == c"\n" or at[0] == c"\r" or at[0] == c"\t":
        at += 1
    return at


cdef inline const char* _after(const char* at, char expected) noexcept nogil:
    """Past white space and one expected character."""
    if at[0] != expected:
        at = _skip_space(at)
        if at[0] != expected:
            return NULL
    return at + 1


cdef inline const char* _read_string(const char* at, const char** text, Py_ssize_t* size) noexcept nogil:
    """A string of printable ASCII without escapes or "}"; at stands before the opening quote."""
    at = _after(at, c'"')
    if at == NULL:
        return NULL
    text[0] = at
    while at[0] != c'"':
        if at[0] < 0x20 or at[0] > 0x7E or at[0] == c"\\" or at[0] == c"}":
            return NULL
        at += 1
    size[0] = at - text[0]
    return at + 1


cdef inline const char* _read_integer(const char* at, int64_t* value) noexcept nogil:
    """A JSON integer of 1 to 18 digits, without sign."""
    cdef:
        const char* start
        int64_t result

    at = _skip_space(at)
    start = at
    result = at[0] - c"0"
    if result < 0 or result > 9:
        return NULL
    at += 1
    if result == 0:
        if c"0" <= at[0] <= c"9":
            return NULL
    else:
        while c"0" <= at[0] <= c"9":
            result = result * 10 + (at[0] - c"0")
            at += 1
            if at - start > DIGITS_MAX:
                return NULL
    if at[0] == c"." or (at[0] | 0x20) == c"e":
        return NULL
    value[0] = result
    return at


cdef inline const char* _read_decimal(const char* at, int64_t* mantissa, uint8_t* scale) noexcept nogil:
    """A quoted decimal in plain digits, at most 18 of them in all; at stands before the opening quote."""
    cdef:
        bint negative = False
        uint64_t value  # may wrap before the digits are counted
        const char* start
        const char* point

    at = _after(at, c'"')
    if at == NULL:
        return NULL
    if at[0] == c"-":
        negative = True
        at += 1
    start = at
    value = 0
    while c"0" <= at[0] <= c"9":
        value = value * 10 + <uint64_t>(at[0] - c"0")
        at += 1
    if at == start or at - start > DIGITS_MAX:
        return NULL
    scale[0] = 0
    if at[0] == c".":
        at += 1
        point = at
        while c"0" <= at[0] <= c"9":
            value = value * 10 + <uint64_t>(at[0] - c"0")
            at += 1
        if at == point or at - start > DIGITS_MAX + 1:
            return NULL
        scale[0] = <uint8_t>(at - point)
    if at[0] != c'"':
        return NULL
    mantissa[0] = -<int64_t>value if negative else <int64_t>value
    return at + 1


cdef inline const char* _read_boolean(const char* at, bint* value) noexcept nogil:
    at = _skip_space(at)
    if at[0] == c"f" and at[1] == c"a" and at[2] == c"l" and at[3] == c"s" and at[4] == c"e":
        value[0] = False
        return at + 5
    if at[0] == c"t" and at[1] == c"r" and at[2] == c"u" and at[3] == c"e":
        value[0] = True
        return at + 4
    return NULL


cdef const char* _skip_scalar(const char* at) noexcept nogil:
    """The value of an unknown key: a plain string, a short integer, true, false or null."""
    cdef:
        const char* text
        Py_ssize_t size
        int64_t integer
        bint boolean

    at = _skip_space(at)
    if at[0] == c'"':
        return _read_string(at, &text, &size)
    if c"0" <= at[0] <= c"9":
        return _read_integer(at, &integer)
    if at[0] == c"n":
        if at[1] == c"u" and at[2] == c"l" and at[3] == c"l":
            return at + 4
        return NULL
    return _read_boolean(at, &boolean)


cdef inline const char* _next_key(const char* at, bint first, const char** key, Py_ssize_t* size) noexcept nogil:
    """Past the comma (but the first time), the key and its colon. At the end of the object: past the brace, size -1."""
    at = _skip_space(at)
    if at[0] == c"}":
        size[0] = -1
        return at + 1
    if not first:
        if at[0] != c",":
            return NULL
        at += 1
    at = _read_string(at, key, size)
    if at == NULL:
        return NULL
    return _after(at, c":")


cdef inline bint _equals(const char* text, Py_ssize_t size, const char* expected, Py_ssize_t expected_size) noexcept nogil:
    return size == expected_size and memcmp(text, expected, size) == 0


cdef inline Py_ssize_t _book_symbol(const char* topic, Py_ssize_t size) noexcept nogil:
    """The offset of the symbol in `orderbook.{depth}.{symbol}`, or 0."""
    cdef Py_ssize_t at = 10
    cdef int depth = 0
    if size < 13 or memcmp(topic, b"orderbook.", 10) != 0 or topic[10] == c"0":
        return 0
    while at < size and c"0" <= topic[at] <= c"9" and at < 14:
        depth = depth * 10 + (topic[at] - c"0")
        at += 1
    if depth < 1 or depth > DEPTH_MAX or at + 1 >= size or topic[at] != c".":
        return 0
    return at + 1


cdef inline bint _is_trade_topic(const char* topic, Py_ssize_t size) noexcept nogil:
    return size > 12 and memcmp(topic, b"publicTrade.", 12) == 0


cdef inline int _tick_direction(const char* text, Py_ssize_t size) noexcept nogil:
    if _equals(text, size, b"PlusTick", 8):
        return 1
    if _equals(text, size, b"ZeroPlusTick", 12):
        return 2
    if _equals(text, size, b"MinusTick", 9):
        return 3
    if _equals(text, size, b"ZeroMinusTick", 13):
        return 4
    return 0


class _Refused(Exception):
    """The frame is valid JSON but not what its topic promises; the text says what was expected."""


cdef class Decoder:
    """Decodes frames one after the other into its own reused fields. Not re-entrant."""

    def __cinit__(self):
        self.change = BookChange()
        self.refusal = ""

    def __dealloc__(self):
        PyMem_RawFree(self.trades)

    cdef FrameKind decode(self, const char* frame, Py_ssize_t size) except *:
        """Decode one frame; MALFORMED (never an exception) for anything that is not a proper one."""
        cdef FrameKind kind = MALFORMED
        self.message = self.data = self.symbols = None
        if size >= FRAME_BYTES_MIN and frame[0] == c"{" and frame[size - 1] == c"}":
            kind = self._decode_fast(frame, size)
        if kind == MALFORMED:
            kind = self._decode_slow(frame, size)
        return kind

    # -- the fused way; MALFORMED here means: let orjson judge

    cdef FrameKind _decode_fast(self, const char* frame, Py_ssize_t size) except *:
        cdef:
            const char* at = frame + 1
            const char* key
            const char* text
            const char* symbol = NULL
            Py_ssize_t key_size, text_size
            Py_ssize_t symbol_size = 0
            Py_ssize_t offset = 0
            int64_t ts_ms = 0
            int64_t cts_ms = 0
            int seen = 0
            bint is_book = False
            bint is_trades = False
            bint is_snapshot = False

        self._end = frame + size
        while True:
            at = _next_key(at, not seen and at == frame + 1, &key, &key_size)
            if at == NULL:
                return MALFORMED
            if key_size < 0:
                break
            if _equals(key, key_size, b"topic", 5) and not seen & SEEN_TOPIC:
                seen |= SEEN_TOPIC
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                offset = _book_symbol(text, text_size)
                if not offset and not _is_trade_topic(text, text_size):
                    return MALFORMED
                self.topic = text
                self.topic_size = text_size
            elif _equals(key, key_size, b"type", 4) and not seen & SEEN_TYPE:
                seen |= SEEN_TYPE
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                is_snapshot = _equals(text, text_size, b"snapshot", 8)
                if not is_snapshot and not _equals(text, text_size, b"delta", 5):
                    return MALFORMED
            elif _equals(key, key_size, b"ts", 2) and not seen & SEEN_TS:
                seen |= SEEN_TS
                at = _read_integer(at, &ts_ms)
            elif _equals(key, key_size, b"cts", 3) and not seen & SEEN_CTS:
                seen |= SEEN_CTS
                at = _read_integer(at, &cts_ms)
            elif _equals(key, key_size, b"data", 4) and not seen & SEEN_DATA:
                seen |= SEEN_DATA
                at = _skip_space(at)
                if at[0] == c"{":
                    is_book = True
                    at = self._read_book(at + 1, &symbol, &symbol_size)
                elif at[0] == c"[":
                    is_trades = True
                    at = self._read_trades(at + 1, &symbol, &symbol_size)
                else:
                    return MALFORMED
            elif seen & SEEN_TOPIC == 0 and (key[0] == c"s" or key[0] == c"r" or key[0] == c"a" or key[0] == c"o"):
                return MALFORMED  # success, ret_msg, req_id, args, op: a control message
            else:
                if not _is_unknown_envelope_key(key, key_size):
                    return MALFORMED
                at = _skip_scalar(at)
            if at == NULL or at >= self._end:
                return MALFORMED
        if at != self._end or not seen & SEEN_TOPIC or not seen & SEEN_TYPE or not seen & SEEN_TS:
            return MALFORMED
        if is_book:
            if not offset or not _equals(self.topic + offset, self.topic_size - offset, symbol, symbol_size):
                return MALFORMED
            self.change.is_snapshot = is_snapshot
            self.change.ts_ms = ts_ms
            self.change.cts_ms = cts_ms
            return BOOK
        if is_trades:
            if offset or (
                self.trade_count and not _equals(self.topic + 12, self.topic_size - 12, symbol, symbol_size)
            ):
                return MALFORMED
            self.ts_ms = ts_ms
            return TRADES
        return MALFORMED

    cdef const char* _read_book(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL:
        """The members of a book's data object, past its brace."""
        cdef:
            BookChange change = self.change
            const char* key
            Py_ssize_t key_size
            int64_t integer = 0
            int seen = 0
            bint first = True

        change.clear()
        while True:
            at = _next_key(at, first, &key, &key_size)
            if at == NULL:
                return NULL
            if key_size < 0:
                return at if seen & SEEN_BOOK == SEEN_BOOK else NULL
            first = False
            if key_size == 1 and key[0] == c"b" and not seen & SEEN_BIDS:
                seen |= SEEN_BIDS
                at = self._read_levels(at, &change.bid_levels)
            elif key_size == 1 and key[0] == c"a" and not seen & SEEN_ASKS:
                seen |= SEEN_ASKS
                at = self._read_levels(at, &change.ask_levels)
            elif key_size == 1 and key[0] == c"s" and not seen & SEEN_SYMBOL:
                seen |= SEEN_SYMBOL
                at = _read_string(at, symbol, symbol_size)
            elif key_size == 1 and key[0] == c"u" and not seen & SEEN_U:
                seen |= SEEN_U
                at = _read_integer(at, &integer)
                if at == NULL or integer < 1:
                    return NULL
                change.update_id = integer
            elif _equals(key, key_size, b"seq", 3) and not seen & SEEN_SEQ:
                seen |= SEEN_SEQ
                at = _read_integer(at, &integer)
                change.seq = integer
            elif key_size == 1 or key_size == 3:
                return NULL
            else:
                at = _skip_scalar(at)
            if at == NULL:
                return NULL

    cdef const char* _read_levels(self, const char* at, Levels* side) except? NULL:
        """An array of [price, size] pairs."""
        cdef:
            int64_t* prices
            int64_t* sizes
            uint8_t* price_scales
            uint8_t* size_scales
            Py_ssize_t count = 0
            uint8_t price_scale = 0
            uint8_t size_scale = 0

        at = _after(at, c"[")
        if at == NULL:
            return NULL
        at = _skip_space(at)
        if at[0] == c"]":
            return at + 1
        while True:
            if count == side.capacity:
                side.count = count
                self.change.reserve(side, count + 1)
            at = _after(at, c"[")
            if at == NULL:
                return NULL
            at = _read_decimal(at, &side.prices[count], &side.price_scales[count])
            if at == NULL:
                return NULL
            at = _after(at, c",")
            if at == NULL:
                return NULL
            at = _read_decimal(at, &side.sizes[count], &side.size_scales[count])
            if at == NULL or side.sizes[count] < 0:
                return NULL
            price_scale = max(price_scale, side.price_scales[count])
            size_scale = max(size_scale, side.size_scales[count])
            count += 1
            at = _after(at, c"]")
            if at == NULL:
                return NULL
            at = _skip_space(at)
            if at[0] == c"]":
                break
            if at[0] != c",":
                return NULL
            at += 1
        side.count = count
        self.change.price_scale = max(self.change.price_scale, <int>price_scale)
        self.change.size_scale = max(self.change.size_scale, <int>size_scale)
        return at + 1

    cdef const char* _read_trades(self, const char* at, const char** symbol, Py_ssize_t* symbol_size) except? NULL:
        """The elements of a trade message's data array, past its bracket. All trades of one symbol."""
        cdef:
            const char* own
            Py_ssize_t own_size

        self.trade_count = 0
        at = _skip_space(at)
        if at[0] == c"]":
            return at + 1
        while True:
            self._reserve_trades(self.trade_count + 1)
            at = _after(at, c"{")
            if at == NULL:
                return NULL
            at = self._read_trade(at, &self.trades[self.trade_count], &own, &own_size)
            if at == NULL or at >= self._end:
                return NULL
            if self.trade_count and not _equals(own, own_size, symbol[0], symbol_size[0]):
                return NULL
            symbol[0] = own
            symbol_size[0] = own_size
            self.trade_count += 1
            at = _skip_space(at)
            if at[0] == c"]":
                return at + 1
            if at[0] != c",":
                return NULL
            at += 1

    cdef const char* _read_trade(
        self, const char* at, TradeFields* trade, const char** symbol, Py_ssize_t* symbol_size
    ) noexcept:
        cdef:
            const char* key
            const char* text
            Py_ssize_t key_size, text_size
            uint8_t scale = 0
            int seen = 0
            int bit
            bint first = True

        trade.seq = 0
        trade.tick_direction = 0
        trade.is_block = trade.is_rpi = False
        while True:
            at = _next_key(at, first, &key, &key_size)
            if at == NULL:
                return NULL
            if key_size < 0:
                return at if seen & TRADE_NEEDS == TRADE_NEEDS else NULL
            first = False
            bit = 0
            if key_size == 1:
                if key[0] == c"T":
                    bit = TRADE_TIME
                    at = _read_integer(at, &trade.time_ms)
                elif key[0] == c"s":
                    bit = TRADE_SYMBOL
                    at = _read_string(at, symbol, symbol_size)
                elif key[0] == c"S":
                    bit = TRADE_SIDE
                    at = _read_string(at, &text, &text_size)
                    if at == NULL:
                        return NULL
                    trade.is_buy = _equals(text, text_size, b"Buy", 3)
                    if not trade.is_buy and not _equals(text, text_size, b"Sell", 4):
                        return NULL
                elif key[0] == c"v":
                    bit = TRADE_SIZE
                    at = _read_decimal(at, &trade.size, &scale)
                    if at == NULL or trade.size < 0:
                        return NULL
                    trade.size_scale = scale
                elif key[0] == c"p":
                    bit = TRADE_PRICE
                    at = _read_decimal(at, &trade.price, &scale)
                    trade.price_scale = scale
                elif key[0] == c"L":
                    bit = TRADE_DIRECTION
                    at = _read_string(at, &text, &text_size)
                    if at == NULL:
                        return NULL
                    trade.tick_direction = _tick_direction(text, text_size)
                elif key[0] == c"i":
                    bit = TRADE_ID
                    at = _read_string(at, &text, &text_size)
                    if at == NULL or text_size < 1 or text_size > TRADE_ID_BYTES_MAX:
                        return NULL
                    memcpy(trade.trade_id, text, text_size)
                    trade.trade_id_size = <int>text_size
            elif _equals(key, key_size, b"BT", 2):
                bit = TRADE_BLOCK
                at = _read_boolean(at, &trade.is_block)
            elif _equals(key, key_size, b"RPI", 3):
                bit = TRADE_RPI
                at = _read_boolean(at, &trade.is_rpi)
            elif _equals(key, key_size, b"seq", 3):
                bit = TRADE_SEQ
                at = _read_integer(at, &trade.seq)
            if not bit:
                at = _skip_scalar(at)
            elif seen & bit:
                return NULL
            seen |= bit
            if at == NULL:
                return NULL

    cdef int _reserve_trades(self, Py_ssize_t count) except -1:
        cdef Py_ssize_t capacity = self._trade_capacity if self._trade_capacity else TRADES_CAPACITY_MIN
        cdef void* grown
        if count <= self._trade_capacity:
            return 0
        while capacity < count:
            capacity *= 2
        grown = PyMem_RawRealloc(self.trades, capacity * sizeof(TradeFields))
        if grown == NULL:
            raise MemoryError()
        self.trades = <TradeFields*>grown
        self._trade_capacity = capacity
        return 0

    # -- through orjson

    cdef FrameKind _decode_slow(self, const char* frame, Py_ssize_t size) except *:
        cdef bytes topic_bytes
        try:
            message = orjson.loads(PyMemoryView_FromMemory(<char*>frame, size, PyBUF_READ))
        except orjson.JSONDecodeError as error:
            self._find_topic(frame, size)
            self.refusal = f"not JSON: {error}"
            return MALFORMED
        self.message = message
        self.topic = NULL
        self.topic_size = 0
        if not isinstance(message, dict):
            self.refusal = f"expected an object, was {type(message).__name__}"
            return MALFORMED
        topic = message.get("topic")
        if topic is None:
            return CONTROL
        if not isinstance(topic, str):
            self.refusal = f"topic must be text, was {type(topic).__name__}"
            return MALFORMED
        self.topic = PyUnicode_AsUTF8AndSize(topic, &self.topic_size)
        try:
            return self._decode_topic(topic, message)
        except _Refused as refusal:
            self.refusal = str(refusal)
            return MALFORMED

    cdef FrameKind _decode_topic(self, str topic, dict message) except *:
        cdef Py_ssize_t offset = _book_symbol(self.topic, self.topic_size)
        kind, _, rest = topic.partition(".")
        if offset:
            self.fallbacks += 1
            self._take_book(message, topic.split(".", 2)[2])
            return BOOK
        if kind == "publicTrade" and rest:
            self.fallbacks += 1
            self._take_trades(message, rest)
            return TRADES
        if kind == "tickers" and rest:
            self._take_envelope(message)
            self.seq = _integer(message, "cs", 0, 0)
            self.data = _ticker_fields(message, rest)
            return TICKER
        if kind == "kline" and rest.partition(".")[2]:
            self._take_envelope(message)
            self.data = _elements(message, list)
            return KLINE
        if kind == "allLiquidation" and rest:
            self._take_envelope(message)
            self.data = _elements(message, (list, dict))
            return LIQUIDATIONS
        return UNKNOWN_TOPIC

    cdef void _find_topic(self, const char* frame, Py_ssize_t size) noexcept:
        """The topic of a frame that is not JSON, where it still begins as the venue's frames do."""
        cdef Py_ssize_t at = 10
        self.topic = NULL
        self.topic_size = 0
        if size > 10 and memcmp(frame, b'{"topic":"', 10) == 0:
            while at < size and 0x20 <= frame[at] <= 0x7E and frame[at] != c'"' and frame[at] != c"\\":
                at += 1
            if at < size and frame[at] == c'"':
                self.topic = frame + 10
                self.topic_size = at - 10

    cdef int _take_envelope(self, dict message) except -1:
        kind = message.get("type")
        if kind != "snapshot" and kind != "delta":
            raise _Refused(f'type must be "snapshot" or "delta", was {kind!r}')
        self.is_snapshot = kind == "snapshot"
        self.ts_ms = _integer(message, "ts", 0, None)
        return 0

    cdef int _take_book(self, dict message, str symbol) except -1:
        cdef BookChange change = self.change
        self._take_envelope(message)
        data = message.get("data")
        if not isinstance(data, dict):
            raise _Refused(f"data must be an object, was {type(data).__name__}")
        if data.get("s") != symbol:
            raise _Refused(f"data.s must be the topic's symbol {symbol!r}, was {data.get('s')!r}")
        change.clear()
        change.is_snapshot = self.is_snapshot
        change.ts_ms = self.ts_ms
        change.cts_ms = _integer(message, "cts", 0, 0)
        change.update_id = _integer(data, "u", 1, None)
        change.seq = _integer(data, "seq", 0, 0)
        self._take_levels(&change.bid_levels, data.get("b"), "b")
        self._take_levels(&change.ask_levels, data.get("a"), "a")
        return 0

    cdef int _take_levels(self, Levels* side, object levels, str name) except -1:
        cdef:
            BookChange change = self.change
            int price_scale, size_scale
            Py_ssize_t count = 0

        if not isinstance(levels, list):
            raise _Refused(f"data.{name} must be an array, was {type(levels).__name__}")
        change.reserve(side, len(levels))
        for level in levels:
            if not isinstance(level, list) or len(level) != 2:
                raise _Refused(f"a level of data.{name} must be [price, size], was {level!r}")
            _decimal(level[0], "price", &side.prices[count], &price_scale)
            _decimal(level[1], "size", &side.sizes[count], &size_scale)
            if side.sizes[count] < 0:
                raise _Refused(f"size must not be negative, was {level[1]!r}")
            side.price_scales[count] = <uint8_t>price_scale
            side.size_scales[count] = <uint8_t>size_scale
            change.price_scale = max(change.price_scale, price_scale)
            change.size_scale = max(change.size_scale, size_scale)
            count += 1
        side.count = count
        return 0

    cdef int _take_trades(self, dict message, str symbol) except -1:
        cdef TradeFields* trade
        self._take_envelope(message)
        trades = message.get("data")
        if not isinstance(trades, list):
            raise _Refused(f"data must be an array, was {type(trades).__name__}")
        self._reserve_trades(len(trades))
        self.trade_count = 0
        symbols = []
        for fields in trades:
            if not isinstance(fields, dict):
                raise _Refused(f"a trade must be an object, was {type(fields).__name__}")
            trade = &self.trades[self.trade_count]
            symbols.append(_text(fields, "s"))
            trade.time_ms = _integer(fields, "T", 0, None)
            trade.seq = _integer(fields, "seq", 0, 0)
            _decimal(fields.get("p"), "p", &trade.price, &trade.price_scale)
            _decimal(fields.get("v"), "v", &trade.size, &trade.size_scale)
            if trade.size < 0:
                raise _Refused(f"v must not be negative, was {fields['v']!r}")
            side = fields.get("S")
            if side != "Buy" and side != "Sell":
                raise _Refused(f'S must be "Buy" or "Sell", was {side!r}')
            trade.is_buy = side == "Buy"
            trade.is_block = _boolean(fields, "BT")
            trade.is_rpi = _boolean(fields, "RPI")
            direction = fields.get("L")
            trade.tick_direction = _TICK_DIRECTIONS.get(direction, 0) if isinstance(direction, str) else 0
            _take_trade_id(trade, fields)
            self.trade_count += 1
        self.symbols = symbols if any([own != symbol for own in symbols]) else None
        return 0


cdef inline bint _is_unknown_envelope_key(const char* key, Py_ssize_t size) noexcept nogil:
    """Whether the key is none the envelope gives a meaning to (a known one comes here only when it comes twice)."""
    return not (
        _equals(key, size, b"topic", 5)
        or _equals(key, size, b"type", 4)
        or _equals(key, size, b"ts", 2)
        or _equals(key, size, b"cts", 3)
        or _equals(key, size, b"data", 4)
    )


cdef int64_t _integer(dict fields, str name, int64_t least, object default) except? -1:
    """A JSON integer of at least `least`; the default where it is absent and there is one."""
    value = fields.get(name)
    if value is None and name not in fields and default is not None:
        return default
    if type(value) is not int or value < least or value > _INT64_MAX:
        raise _Refused(f"{name} must be an integer of at least {least}, was {value!r}")
    return value


cdef str _text(dict fields, str name):
    value = fields.get(name)
    if not isinstance(value, str):
        raise _Refused(f"{name} must be text, was {value!r}")
    return value


cdef bint _boolean(dict fields, str name) except -1:
    value = fields.get(name, False)
    if value is not True and value is not False:
        raise _Refused(f"{name} must be true or false, was {value!r}")
    return value


cdef int _decimal(object text, str name, int64_t* mantissa, int* scale) except -1:
    cdef:
        const char* characters
        Py_ssize_t size

    if not isinstance(text, str):
        raise _Refused(f"{name} must be decimal text, was {text!r}")
    characters = PyUnicode_AsUTF8AndSize(text, &size)
    if parse_text(characters, size, mantissa, scale) != PARSE_OK:
        raise _Refused(f"{name} must be decimal text of at most 18 digits, was {text!r}")
    return 0


cdef int _take_trade_id(TradeFields* trade, dict fields) except -1:
    cdef bytes encoded
    text = fields.get("i")
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not 1 <= len(text) <= TRADE_ID_BYTES_MAX:
        raise _Refused(f"i must be 1 to {int(TRADE_ID_BYTES_MAX)} printable ASCII characters, was {text!r}")
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
    return {name: value if isinstance(value, str) else str(value) for name, value in data.items() if name != "symbol"}
