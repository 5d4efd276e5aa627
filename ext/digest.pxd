from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook
from ext.change cimport BookChange


cdef uint64_t change_digest(BookChange change, int64_t seq) noexcept nogil
cdef uint64_t book_digest(OrderBook book, int64_t seq) noexcept nogil
cdef uint64_t text_digest(uint64_t value, const char* text, Py_ssize_t size) noexcept nogil
