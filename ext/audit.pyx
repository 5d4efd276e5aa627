"""Audit: the checksums of a book at each update id, until an answer of REST says what one of them should be."""

from ext.book cimport OrderBook


cdef class Audit:
    """One comparison of a book with an answer."""

    def __cinit__(self):
        self._sums = {}

    cdef int note(self, OrderBook book) except -1:
        """The book as it is after a message."""
        self._noted += 1
        self._sums[book.update_id] = book.checksum()
        if len(self._sums) > AUDIT_MESSAGES_MAX:
            del self._sums[next(iter(self._sums))]
        return 0

    cdef int answered(self, OrderBook answer) except -1:
        self.answer_u = answer.update_id
        self._answer_sum = answer.checksum()
        return 0

    cdef Verdict verdict(self) except *:
        """Open while the answer is ahead of the book, or has not come; not for ever, as checksums cost."""
        cdef Verdict waiting = AUDIT_OPEN if self._noted < AUDIT_MESSAGES_MAX else AUDIT_UNMATCHED
        if not self.answer_u:
            return waiting
        if self.answer_u in self._sums:
            return AUDIT_EQUAL if self._sums[self.answer_u] == self._answer_sum else AUDIT_DIFFERENT
        return waiting if self._sums and self.answer_u > max(self._sums) else AUDIT_UNMATCHED
