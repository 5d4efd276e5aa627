from libc.stdint cimport int64_t

from ext.book cimport OrderBook

cpdef enum AuditLimit:
    AUDIT_MESSAGES_MAX = 256    # whose checksums are kept while an answer is waited for


cdef enum Verdict:
    AUDIT_OPEN = 0
    AUDIT_EQUAL = 1
    AUDIT_DIFFERENT = 2
    AUDIT_UNMATCHED = 3


cdef class Audit:
    cdef:
        dict _sums           # u -> checksum, the latest
        int _noted
        int64_t answer_u     # 0: none yet
        object _answer_sum

    cdef int note(self, OrderBook book) except -1
    cdef int answered(self, OrderBook answer) except -1
    cdef Verdict verdict(self) except *
