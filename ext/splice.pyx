"""Splice: how a book that is sent as deltas only begins: the deltas that wait, and which answer of REST they meet."""

from ext.change cimport BookChange


cdef class Splice:
    """Deltas of one orderbook.full topic without a book, and an answer that is ahead of them."""

    def __cinit__(self):
        self.clear()

    cdef int clear(self) except -1:
        self.frames = []
        self._ids = []
        self._bytes = 0
        self.answer = None
        self.is_asked = False
        return 0

    cdef bint keep(self, BookChange change, bytes frame) except -1:
        """Let a delta wait; whether an answer is to be asked for, as it is the first or begins anew."""
        if self._ids:
            u, seq = self._ids[len(self._ids) - 1]
            if (
                change.update_id != u + 1
                or change.seq < seq
                or len(self.frames) >= FULL_PENDING_MAX
                or self._bytes + len(frame) > FULL_PENDING_BYTES_MAX
            ):
                self.clear()
        self.frames.append(frame)
        self._ids.append((change.update_id, change.seq))
        self._bytes += len(frame)
        if self.is_asked:
            return False
        self.is_asked = True
        return True

    cdef Py_ssize_t match(self) except? -9:
        """The place of the delta after which the answer was taken, or a Match."""
        if not self._ids:
            return MATCH_LATER
        wanted = (self.answer.update_id, self.answer.seq)
        first_u, first_seq = self._ids[0]
        last_u, last_seq = self._ids[len(self._ids) - 1]
        if wanted[0] > last_u and wanted[1] >= last_seq:
            return MATCH_LATER
        at = wanted[0] - first_u
        if 0 <= at < len(self._ids) and self._ids[at] == wanted:
            return at
        return MATCH_NONE
