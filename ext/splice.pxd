from libc.stdint cimport int64_t

from ext.change cimport BookChange

cpdef enum FullLimit:
    FULL_PENDING_MAX = 1024              # messages that wait for an answer
    FULL_PENDING_BYTES_MAX = 67108864    # of them together
    FULL_LEVELS_MAX = 20000              # a side


cdef enum Match:
    MATCH_NONE = -2    # no message will ever meet the answer: ask for another
    MATCH_LATER = -1   # messages to come may


cdef class Splice:
    cdef:
        list frames              # from the last break on, each one the next of the one before
        list _ids                # (u, seq) of each
        Py_ssize_t _bytes
        BookChange answer        # the one that is waited with, or None
        bint is_asked

    cdef bint keep(self, BookChange change, bytes frame) except -1
    cdef Py_ssize_t match(self) except? -9
    cdef int clear(self) except -1
