from libc.stdint cimport int64_t

cpdef enum FixedLimit:
    DIGITS_MAX = 18

cdef enum ParseError:
    PARSE_OK = 0
    PARSE_EMPTY = 1
    PARSE_SYNTAX = 2
    PARSE_DIGITS = 3
    PARSE_SCALE = 4

cdef int64_t[19] POW10
# The largest mantissa that stays within 18 digits when multiplied by POW10[i].
cdef int64_t[19] ROOM10

cdef int parse_text(const char* text, Py_ssize_t size, int64_t* mantissa, int* scale) noexcept nogil
cdef object to_decimal(int64_t mantissa, int scale)


cdef inline int rescale_mantissa(int64_t* mantissa, int scale, int target) noexcept nogil:
    """Bring a mantissa from one scale to a target that is not smaller; -1 when it would then exceed 18 digits."""
    cdef int more = target - scale
    if mantissa[0] > ROOM10[more] or mantissa[0] < -ROOM10[more]:
        return -1
    mantissa[0] *= POW10[more]
    return 0
