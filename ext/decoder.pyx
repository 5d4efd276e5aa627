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
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.book cimport BookChange, Levels
from ext.fixed cimport DIGITS_MAX, PARSE_OK, POW10, parse_text

cdef enum:
    DEPTH_MAX = 1000
    TRADES_CAPACITY_MIN = 64
    FRAME_BYTES_MIN = 2
    PAIR_BYTES_MAX = 64   # of the usual spelling, with what reading eight bytes at a time may touch

# Bits of the keys that have a meaning. A key that comes twice is orjson's to judge.
cdef enum:
    KEY_UNKNOWN = 0
    KEY_END = -1      # the object ended instead
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

cdef struct Key:
    # A key as it usually stands, `"name":`, as the first bytes of a word.
    uint64_t word
    uint64_t mask
    int size
    int bit

cdef Key[ENVELOPE_KEYS] _ENVELOPE
cdef Key[BOOK_KEYS] _BOOK
cdef Key[TRADE_KEYS] _TRADE


cdef void _set_keys(Key* keys, dict bits) except *:
    cdef bytes spelled
    for index, (name, bit) in enumerate(bits.items()):
        spelled = b'"%s":' % name.encode()
        if len(spelled) > 8:
            raise ValueError(f"key {name!r} does not fit into a word")
        keys[<int>index].size = len(spelled)
        keys[<int>index].bit = bit
        memcpy(&keys[<int>index].word, PyBytes_AS_STRING(spelled.ljust(8, b"\0")), 8)
        memcpy(&keys[<int>index].mask, PyBytes_AS_STRING((b"\xff" * len(spelled)).ljust(8, b"\0")), 8)


_set_keys(_ENVELOPE, {"topic": KEY_TOPIC, "type": KEY_TYPE, "ts": KEY_TS, "data": KEY_DATA, "cts": KEY_CTS})
_set_keys(_BOOK, {"s": BOOK_SYMBOL, "b": BOOK_BIDS, "a": BOOK_ASKS, "u": BOOK_UPDATE_ID, "seq": BOOK_SEQ})
_set_keys(
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

# Characters that a string of the usual spelling may hold: printable ASCII but the quote, the backslash and "}".
cdef bint[256] _PLAIN
_PLAIN[:] = [0x20 <= code <= 0x7E and chr(code) not in '"\\}' for code in range(256)]

cdef dict _TICK_DIRECTIONS = {"PlusTick": 1, "ZeroPlusTick": 2, "MinusTick": 3, "ZeroMinusTick": 4}
cdef int64_t _INT64_MAX = 0x7FFFFFFFFFFFFFFF


cdef extern from *:
    int trailing_zeros "__builtin_ctz"(unsigned int) nogil

cdef extern from "scan.h":
    void scan_sixteen(const char* text, uint32_t* quotes, uint32_t* points, uint32_t* digits) nogil


# --- scanning ------------------------------------------------------------------------------------------------------
# The caller guarantees that the frame's last byte is "}". No loop below passes a "}" but where it ends an object, so
# only there the end of the frame is checked.
# NULL means: not the plain spelling.

cdef inline uint64_t _word(const char* at) noexcept nogil:
    """The next eight bytes; the caller knows that they are there."""
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline uint64_t _eight_digits(uint64_t word, int count) noexcept nogil:
    """The number that the first `count` (1 to 8) of eight characters make, all of them digits."""
    cdef uint64_t digits = (word ^ 0x3030303030303030ULL) << (64 - 8 * count)
    # Neighbours are combined: digits to pairs, fours, eight.
    digits = digits * 10 + (digits >> 8)
    return (
        (digits & 0x000000FF000000FFULL) * 0x000F424000000064ULL
        + ((digits >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL
    ) >> 32


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
    while _PLAIN[<uint8_t>at[0]]:
        at += 1
    if at[0] != c'"':
        return NULL
    size[0] = at - text[0]
    return at + 1


cdef inline const char* _read_integer(const char* at, const char* end, int64_t* value) noexcept nogil:
    """A JSON integer of 1 to 18 digits, without sign."""
    cdef:
        const char* start
        uint32_t quotes, points, digits
        int count

    at = _skip_space(at)
    start = at
    value[0] = 0
    if end - at >= 24:
        scan_sixteen(at, &quotes, &points, &digits)
        count = trailing_zeros(~digits | 0x10000)
        if count:
            value[0] = <int64_t>_eight_digits(_word(at), min(count, 8))
        if count > 8:
            value[0] = value[0] * POW10[count - 8] + <int64_t>_eight_digits(_word(at + 8), count - 8)
        at += count
    # What is longer than that, or too near to the end.
    while c"0" <= at[0] <= c"9" and at - start <= DIGITS_MAX:
        value[0] = <int64_t>(<uint64_t>value[0] * 10 + <uint64_t>(at[0] - c"0"))
        at += 1
    if at == start or at - start > DIGITS_MAX or (start[0] == c"0" and at - start > 1):
        return NULL
    if at[0] == c"." or (at[0] | 0x20) == c"e":
        return NULL
    return at


cdef inline const char* _read_decimal(const char* at, int64_t* mantissa, int* scale) noexcept nogil:
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
        scale[0] = <int>(at - point)
    if at[0] != c'"':
        return NULL
    mantissa[0] = -<int64_t>value if negative else <int64_t>value
    return at + 1


cdef inline const char* _read_digits(const char* at, int64_t* mantissa, int* scale) noexcept nogil:
    """The usual decimal: up to eight digits, then perhaps a point and up to eight more; ends at the closing quote.

    Reads up to 24 bytes. NULL at anything else, a sign included. Where the number ends is known before what it is, and
    whether it has a point is computed, not branched on: deletes ("0") stand between sizes with fractions in no
    predictable order.
    """
    cdef:
        uint32_t quotes, points, digits, point, end
        uint64_t whole_mask
        int size, whole, decimals

    scan_sixteen(at, &quotes, &points, &digits)
    end = quotes & -quotes
    point = points & -points & (end - 1)
    digits &= end - 1
    # There is an end; all before it but one point is digits; the first and the last are.
    if end == 0 or digits ^ point != end - 1 or not digits & 1 or not (digits << 1) & end:
        return NULL
    size = trailing_zeros(end)
    whole = trailing_zeros(point | end)
    decimals = size - whole - (point != 0)
    if whole > 8 or decimals > 8:
        return NULL
    if whole + decimals <= 8:
        whole_mask = <uint64_t>-1 >> (64 - 8 * whole)
        mantissa[0] = <int64_t>_eight_digits(
            (_word(at) & whole_mask) | (_word(at + 1) & ~whole_mask), whole + decimals
        )
    else:
        mantissa[0] = <int64_t>(
            _eight_digits(_word(at), whole) * <uint64_t>POW10[decimals]
            + _eight_digits(_word(at + whole + 1), decimals)
        )
    scale[0] = decimals
    return at + size


cdef inline const char* _read_pair(
    const char* at, const char* end, int64_t* price, int* price_scale, int64_t* size, int* size_scale
) noexcept nogil:
    """A ["price","size"] pair; ends past its bracket."""
    cdef const char* next
    if end - at >= PAIR_BYTES_MAX and at[0] == c"[" and at[1] == c'"':
        next = _read_digits(at + 2, price, price_scale)
        if next != NULL and next[1] == c"," and next[2] == c'"':
            next = _read_digits(next + 3, size, size_scale)
            if next != NULL and next[1] == c"]":
                return next + 2
    return _read_any_pair(at, price, price_scale, size, size_scale)


cdef const char* _read_any_pair(
    const char* at, int64_t* price, int* price_scale, int64_t* size, int* size_scale
) noexcept nogil:
    """The same, with white space, signs and long numbers; a negative size is refused."""
    at = _after(at, c"[")
    if at == NULL:
        return NULL
    at = _read_decimal(at, price, price_scale)
    if at == NULL:
        return NULL
    at = _after(at, c",")
    if at == NULL:
        return NULL
    at = _read_decimal(at, size, size_scale)
    if at == NULL or size[0] < 0:
        return NULL
    return _after(at, c"]")


cdef inline const char* _read_boolean(const char* at, bint* value) noexcept nogil:
    at = _skip_space(at)
    if at[0] == c"f" and at[1] == c"a" and at[2] == c"l" and at[3] == c"s" and at[4] == c"e":
        value[0] = False
        return at + 5
    if at[0] == c"t" and at[1] == c"r" and at[2] == c"u" and at[3] == c"e":
        value[0] = True
        return at + 4
    return NULL


cdef const char* _skip_scalar(const char* at, const char* end) noexcept nogil:
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
        return _read_integer(at, end, &integer)
    if at[0] == c"n":
        if at[1] == c"u" and at[2] == c"l" and at[3] == c"l":
            return at + 4
        return NULL
    return _read_boolean(at, &boolean)


cdef inline const char* _read_key(
    const char* at, const char* end, bint first, const Key* keys, int count, int* likely, int* bit
) noexcept nogil:
    """Past the comma (but the first time), a key and its colon; or past the brace that ends the object.

    *bit becomes the key's, KEY_UNKNOWN or KEY_END. *likely is the index of the key that usually comes next.
    """
    cdef:
        int index = likely[0]
        uint64_t word

    if end - at > 8 and (first or at[0] == c","):
        at += not first
        word = _word(at)
        if word & keys[index].mask != keys[index].word:
            index = 0
            while index < count and word & keys[index].mask != keys[index].word:
                index += 1
            if index == count:
                return _read_any_key(at - (not first), first, keys, count, bit)
        bit[0] = keys[index].bit
        likely[0] = index + 1 if index + 1 < count else 0
        return at + keys[index].size
    return _read_any_key(at, first, keys, count, bit)


cdef const char* _read_any_key(const char* at, bint first, const Key* keys, int count, int* bit) noexcept nogil:
    """The same, with white space and unknown keys."""
    cdef:
        const char* name
        Py_ssize_t size
        int index

    at = _skip_space(at)
    if at[0] == c"}":
        bit[0] = KEY_END
        return at + 1
    if not first:
        if at[0] != c",":
            return NULL
        at += 1
    at = _read_string(at, &name, &size)
    if at == NULL:
        return NULL
    bit[0] = KEY_UNKNOWN
    for index in range(count):
        # The name stands between the quotes of the word.
        if size == keys[index].size - 3 and memcmp(name, <const char*>&keys[index].word + 1, size) == 0:
            bit[0] = keys[index].bit
    return _after(at, c":")


cdef inline bint _equals(const char* text, Py_ssize_t size, const char* expected, Py_ssize_t expected_size) noexcept nogil:
    # The expected size is a constant where this is inlined, and then no call remains.
    return size == expected_size and memcmp(text, expected, expected_size) == 0


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
        if size >= FRAME_BYTES_MIN and frame[0] == c"{" and frame[size - 1] == c"}":
            kind = self._decode_fast(frame, size)
        if kind == MALFORMED:
            kind = self._decode_slow(frame, size)
        return kind

    # -- the fused way; MALFORMED here means: let orjson judge

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
            at = _read_key(at, end, at == frame + 1, _ENVELOPE, ENVELOPE_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == KEY_TOPIC:
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                offset = _book_symbol(text, text_size)
                if not offset and not _is_trade_topic(text, text_size):
                    return MALFORMED
                self.topic = text
                self.topic_size = text_size
            elif key == KEY_TYPE:
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return MALFORMED
                is_snapshot = _equals(text, text_size, b"snapshot", 8)
                if not is_snapshot and not _equals(text, text_size, b"delta", 5):
                    return MALFORMED
            elif key == KEY_TS:
                at = _read_integer(at, end, &ts_ms)
            elif key == KEY_CTS:
                at = _read_integer(at, end, &cts_ms)
            elif key == KEY_DATA:
                at = _skip_space(at)
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
                at = _skip_scalar(at, end)
            if at == NULL or at >= end:
                return MALFORMED
        if at != end or key != KEY_END or seen & ENVELOPE_NEEDS != ENVELOPE_NEEDS:
            return MALFORMED
        if is_book:
            if not offset or not _equals(self.topic + offset, self.topic_size - offset, symbol, symbol_size):
                return MALFORMED
            self.change.is_snapshot = is_snapshot
            self.change.ts_ms = ts_ms
            self.change.cts_ms = cts_ms
            return BOOK
        if offset or (self.trade_count and not _equals(self.topic + 12, self.topic_size - 12, symbol, symbol_size)):
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
            at = _read_key(at, end, at == start, _BOOK, BOOK_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == BOOK_BIDS:
                at = self._read_levels(at, &change.bid_levels)
            elif key == BOOK_ASKS:
                at = self._read_levels(at, &change.ask_levels)
            elif key == BOOK_SYMBOL:
                at = _read_string(at, symbol, symbol_size)
            elif key == BOOK_UPDATE_ID:
                at = _read_integer(at, end, &change.update_id)
                if change.update_id < 1:
                    return NULL
            elif key == BOOK_SEQ:
                at = _read_integer(at, end, &change.seq)
            else:
                at = _skip_scalar(at, end)
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

        at = _after(at, c"[")
        if at == NULL:
            return NULL
        at = _skip_space(at)
        if at[0] == c"]":
            return at + 1
        while True:
            if count == levels.capacity:
                side.count = count
                self.change.reserve(side, count + 1)
                levels = side[0]
            at = _read_pair(at, end, &price, &price_scale, &size, &size_scale)
            if at == NULL:
                return NULL
            levels.prices[count] = price
            levels.sizes[count] = size
            levels.price_scales[count] = <uint8_t>price_scale
            levels.size_scales[count] = <uint8_t>size_scale
            price_scale_max = max(price_scale_max, price_scale)
            size_scale_max = max(size_scale_max, size_scale)
            price_scale_min = min(price_scale_min, price_scale)
            # A zero is the same at every scale.
            size_scale_min = min(size_scale_min, size_scale if size else <int>DIGITS_MAX)
            count += 1
            if at[0] != c",":
                at = _skip_space(at)
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
            at = _read_key(at, end, at == start, _TRADE, TRADE_KEYS, &likely, &key)
            if at == NULL or key == KEY_END or seen & key:
                break
            seen |= key
            if key == TRADE_TIME:
                at = _read_integer(at, end, &trade.time_ms)
            elif key == TRADE_SYMBOL:
                at = _read_string(at, symbol, symbol_size)
            elif key == TRADE_SIDE:
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return NULL
                trade.is_buy = _equals(text, text_size, b"Buy", 3)
                if not trade.is_buy and not _equals(text, text_size, b"Sell", 4):
                    return NULL
            elif key == TRADE_SIZE:
                at = _read_decimal(at, &trade.size, &trade.size_scale)
                if at == NULL or trade.size < 0:
                    return NULL
            elif key == TRADE_PRICE:
                at = _read_decimal(at, &trade.price, &trade.price_scale)
            elif key == TRADE_DIRECTION:
                at = _read_string(at, &text, &text_size)
                if at == NULL:
                    return NULL
                trade.tick_direction = _tick_direction(text, text_size)
            elif key == TRADE_ID:
                at = _read_string(at, &text, &text_size)
                if at == NULL or text_size < 1 or text_size > TRADE_ID_BYTES_MAX:
                    return NULL
                memcpy(trade.trade_id, text, text_size)
                trade.trade_id_size = <int>text_size
            elif key == TRADE_BLOCK:
                at = _read_boolean(at, &trade.is_block)
            elif key == TRADE_RPI:
                at = _read_boolean(at, &trade.is_rpi)
            elif key == TRADE_SEQ:
                at = _read_integer(at, end, &trade.seq)
            else:
                at = _skip_scalar(at, end)
            if at == NULL:
                return NULL
        return at if at != NULL and key == KEY_END and seen & TRADE_NEEDS == TRADE_NEEDS else NULL

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
            change.note_scales(price_scale, price_scale, size_scale, size_scale)
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
