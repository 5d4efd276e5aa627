"""A picows listener in Cython that does nothing but count."""

from libc.stdint cimport int64_t
from picows.picows cimport WSFrame, WSListener, WSTransport


cdef class Counter(WSListener):
    cdef readonly int64_t frames

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self.frames += 1
