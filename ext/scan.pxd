# Scanning of JSON text as the venue usually spells it: shared by everything that reads frames byte by byte.
#
# The caller guarantees that the text's last byte is "}". No function passes a "}" but where it ends an object, so only
# there the end has to be checked. NULL means: not the usual spelling.

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.fixed cimport DIGITS_MAX, POW10


cdef extern from *:
    int trailing_zeros "__builtin_ctz"(unsigned int) nogil

cdef extern from "scan.h":
    void scan_sixteen(const char* text, uint32_t* quotes, uint32_t* points, uint32_t* digits) nogil
    void scan_thirty_two(const char* text, uint32_t* quotes, uint32_t* points, uint32_t* digits) nogil
    uint32_t scan_not_plain(const char* text) nogil


cdef enum:
    KEY_UNKNOWN = 0
    KEY_END = -1          # the object ended instead
    PAIR_BYTES_MAX = 64   # of a usual pair, with what reading sixteen bytes at a time may touch


cdef struct Key:
    # A key as it usually stands, `"name":`, as the first bytes of a word; `bit` is what the caller knows it by.
    uint64_t word
    uint64_t mask
    int size
    int bit


# Characters that a usual string may hold: printable ASCII but the quote, the backslash and "}".
cdef bint[256] PLAIN

cdef void set_keys(Key* keys, dict bits) except *
cdef const char* read_any_pair(
    const char* at, int64_t* price, int* price_scale, int64_t* size, int* size_scale
) noexcept nogil
cdef const char* skip_scalar(const char* at, const char* end) noexcept nogil
cdef const char* read_any_key(const char* at, const char* end, bint first, const Key* keys, int count, int* bit) noexcept nogil


cdef inline uint64_t read_word(const char* at) noexcept nogil:
    """The next eight bytes; the caller knows that they are there."""
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline uint64_t eight_digits(uint64_t word, int count) noexcept nogil:
    """The number that the first `count` (1 to 8) of eight characters make, all of them digits."""
    cdef uint64_t digits = (word ^ 0x3030303030303030ULL) << (64 - 8 * count)
    # Neighbours are combined: digits to pairs, fours, eight.
    digits = digits * 10 + (digits >> 8)
    return (
        (digits & 0x000000FF000000FFULL) * 0x000F424000000064ULL
        + ((digits >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL
    ) >> 32


cdef inline const char* skip_space(const char* at) noexcept nogil:
    while at[0] == c" " or at[0] == c"\n" or at[0] == c"\r" or at[0] == c"\t":
        at += 1
    return at


cdef inline const char* after(const char* at, char expected) noexcept nogil:
    """Past white space and one expected character."""
    if at[0] != expected:
        at = skip_space(at)
        if at[0] != expected:
            return NULL
    return at + 1


cdef inline const char* read_string(
    const char* at, const char* end, const char** text, Py_ssize_t* size
) noexcept nogil:
    """A string of printable ASCII without escapes or "}"; at stands before the opening quote."""
    cdef uint32_t stops
    at = after(at, c'"')
    if at == NULL:
        return NULL
    text[0] = at
    while end - at >= 16:
        stops = scan_not_plain(at)
        if stops:
            at += trailing_zeros(stops)
            break
        at += 16
    while PLAIN[<uint8_t>at[0]]:
        at += 1
    if at[0] != c'"':
        return NULL
    size[0] = at - text[0]
    return at + 1


cdef inline bint equals(const char* text, Py_ssize_t size, const char* expected, Py_ssize_t expected_size) noexcept nogil:
    # The expected size is a constant where this is inlined, and then no call remains.
    return size == expected_size and memcmp(text, expected, expected_size) == 0


cdef inline const char* read_integer(const char* at, const char* end, int64_t* value) noexcept nogil:
    """A JSON integer of 1 to 18 digits, without sign."""
    cdef:
        const char* start
        uint32_t quotes, points, digits
        int count

    at = skip_space(at)
    start = at
    value[0] = 0
    if end - at >= 24:
        scan_sixteen(at, &quotes, &points, &digits)
        count = trailing_zeros(~digits | 0x10000)
        if count:
            value[0] = <int64_t>eight_digits(read_word(at), min(count, 8))
        if count > 8:
            value[0] = value[0] * POW10[count - 8] + <int64_t>eight_digits(read_word(at + 8), count - 8)
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


cdef inline const char* read_decimal(const char* at, int64_t* mantissa, int* scale) noexcept nogil:
    """A quoted decimal in plain digits, at most 18 of them in all; at stands before the opening quote."""
    cdef:
        bint negative = False
        uint64_t value  # may wrap before the digits are counted
        const char* start
        const char* point

    at = after(at, c'"')
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


cdef inline bint take_digits(
    const char* at, uint32_t end, uint32_t points, uint32_t digits, int64_t* mantissa, int* scale
) noexcept nogil:
    """The usual decimal at `at`: up to eight digits, then perhaps a point and up to eight more; False for anything else.

    `end` is the bit of its closing quote, `points` and `digits` what stands where. Where the number ends is known before
    what it is, and whether it has a point is computed, not branched on: deletes ("0") stand between sizes with
    fractions in no predictable order.
    """
    cdef:
        uint32_t point = points & -points & (end - 1)
        uint64_t whole_mask
        int whole = trailing_zeros(point | end)
        int decimals = trailing_zeros(end) - whole - (point != 0)

    digits &= end - 1
    # All before the end but one point is digits; the first and the last are.
    if digits ^ point != end - 1 or not digits & 1 or not (digits << 1) & end or whole > 8 or decimals > 8:
        return False
    if whole + decimals <= 8:
        whole_mask = <uint64_t>-1 >> (64 - 8 * whole)
        mantissa[0] = <int64_t>eight_digits(
            (read_word(at) & whole_mask) | (read_word(at + 1) & ~whole_mask), whole + decimals
        )
    else:
        mantissa[0] = <int64_t>(
            eight_digits(read_word(at), whole) * <uint64_t>POW10[decimals]
            + eight_digits(read_word(at + whole + 1), decimals)
        )
    scale[0] = decimals
    return True


cdef inline const char* read_pair(
    const char* at, const char* end, int64_t* price, int* price_scale, int64_t* size, int* size_scale
) noexcept nogil:
    """A ["price","size"] pair; ends past its bracket.

    The usual one is seen as a whole, so that where the next begins does not wait for two numbers one after the other.
    """
    cdef:
        uint32_t quotes, points, digits, price_end, size_start, size_end
        int second, last

    if end - at >= PAIR_BYTES_MAX and at[0] == c"[" and at[1] == c'"':
        scan_thirty_two(at + 2, &quotes, &points, &digits)
        price_end = quotes & -quotes
        quotes ^= price_end
        size_start = quotes & -quotes
        quotes ^= size_start
        size_end = quotes & -quotes
        if size_end and size_start == price_end << 2:
            last = trailing_zeros(size_end)
            second = trailing_zeros(size_start) + 1
            if (
                at[second] == c","
                and at[last + 3] == c"]"
                and take_digits(at + 2, price_end, points, digits, price, price_scale)
                and take_digits(
                    at + 2 + second, size_end >> second, points >> second, digits >> second, size, size_scale
                )
            ):
                return at + last + 4
    return read_any_pair(at, price, price_scale, size, size_scale)


cdef inline const char* read_boolean(const char* at, bint* value) noexcept nogil:
    at = skip_space(at)
    if at[0] == c"f" and at[1] == c"a" and at[2] == c"l" and at[3] == c"s" and at[4] == c"e":
        value[0] = False
        return at + 5
    if at[0] == c"t" and at[1] == c"r" and at[2] == c"u" and at[3] == c"e":
        value[0] = True
        return at + 4
    return NULL


cdef inline const char* read_key(
    const char* at, const char* end, bint first, const Key* keys, int count, int* likely, int* bit
) noexcept nogil:
    """Past the comma (but the first time), a key and its colon; or past the brace that ends the object.

    *bit becomes the key's, KEY_UNKNOWN or KEY_END. *likely is the index of the key that usually comes next.
    """
    cdef:
        int index = likely[0]
        uint64_t word

    if at[0] == c"}":
        bit[0] = KEY_END
        return at + 1
    if end - at > 8 and (first or at[0] == c","):
        at += not first
        word = read_word(at)
        if word & keys[index].mask != keys[index].word:
            index = 0
            while index < count and word & keys[index].mask != keys[index].word:
                index += 1
            if index == count:
                return read_any_key(at - (not first), end, first, keys, count, bit)
        bit[0] = keys[index].bit
        likely[0] = index + 1 if index + 1 < count else 0
        return at + keys[index].size
    return read_any_key(at, end, first, keys, count, bit)
