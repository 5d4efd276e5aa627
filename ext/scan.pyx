"""Scanning of JSON text as the venue usually spells it; the inlined part stands in scan.pxd."""

from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport int64_t
from libc.string cimport memcmp, memcpy

PLAIN[:] = [0x20 <= code <= 0x7E and chr(code) not in '"\\}' for code in range(256)]


cdef void set_keys(Key* keys, dict bits) except *:
    """Fill a table of keys from their names and bits; likely ones first."""
    cdef bytes spelled
    for index, (name, bit) in enumerate(bits.items()):
        spelled = b'"%s":' % name.encode()
        if len(spelled) > 8:
            raise ValueError(f"key {name!r} does not fit into a word")
        keys[<int>index].size = len(spelled)
        keys[<int>index].bit = bit
        memcpy(&keys[<int>index].word, PyBytes_AS_STRING(spelled.ljust(8, b"\0")), 8)
        memcpy(&keys[<int>index].mask, PyBytes_AS_STRING((b"\xff" * len(spelled)).ljust(8, b"\0")), 8)


cdef const char* read_any_pair(
    const char* at, int64_t* price, int* price_scale, int64_t* size, int* size_scale
) noexcept nogil:
    """The same, with white space, signs and long numbers; a negative size is refused."""
    at = after(at, c"[")
    if at == NULL:
        return NULL
    at = read_decimal(at, price, price_scale)
    if at == NULL:
        return NULL
    at = after(at, c",")
    if at == NULL:
        return NULL
    at = read_decimal(at, size, size_scale)
    if at == NULL or size[0] < 0:
        return NULL
    return after(at, c"]")


cdef const char* skip_scalar(const char* at, const char* end) noexcept nogil:
    """The value of an unknown key: a plain string, a short integer, true, false or null."""
    cdef:
        const char* text
        Py_ssize_t size
        int64_t integer
        bint boolean

    at = skip_space(at)
    if at[0] == c'"':
        return read_string(at, end, &text, &size)
    if c"0" <= at[0] <= c"9":
        return read_integer(at, end, &integer)
    if at[0] == c"n":
        if at[1] == c"u" and at[2] == c"l" and at[3] == c"l":
            return at + 4
        return NULL
    return read_boolean(at, &boolean)


cdef const char* read_any_key(const char* at, const char* end, bint first, const Key* keys, int count, int* bit) noexcept nogil:
    """The same, with white space and unknown keys."""
    cdef:
        const char* name
        Py_ssize_t size
        int index

    at = skip_space(at)
    if at[0] == c"}":
        bit[0] = KEY_END
        return at + 1
    if not first:
        if at[0] != c",":
            return NULL
        at += 1
    at = read_string(at, end, &name, &size)
    if at == NULL:
        return NULL
    bit[0] = KEY_UNKNOWN
    for index in range(count):
        # The name stands between the quotes of the word.
        if size == keys[index].size - 3 and memcmp(name, <const char*>&keys[index].word + 1, size) == 0:
            bit[0] = keys[index].bit
    return after(at, c":")
