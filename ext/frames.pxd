from libc.stdint cimport int64_t, uint16_t, uint64_t
from picows.picows cimport WSFrame, WSListener, WSTransport

from ext.dispatch cimport Dispatcher
from ext.journal cimport Journal


cdef class FrameListener(WSListener):
    cdef:
        readonly uint64_t frames
        readonly uint64_t bytes
        readonly uint64_t fragments
        readonly uint64_t faults
        readonly uint64_t unrecorded
        readonly int64_t last_recv_ns
        readonly int64_t last_mono_ns
        Dispatcher _dispatcher
        Journal _journal
        object _owner
        int _leg
        uint16_t _connection
        Py_ssize_t _message_bytes_max
        bytearray _partial

    cpdef on_ws_connected(self, WSTransport transport)
    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame)
    cpdef on_ws_disconnected(self, WSTransport transport)
    cpdef opened(self, object transport)
    cpdef closed(self, object transport)
    cpdef received(self, messages, int64_t recv_ns, int64_t mono_ns)
    cdef int _fault(self, object error) except -1
    cdef int _accept(self, const char* message, Py_ssize_t size) except -1
    cdef int _dispatch(self, const char* message, Py_ssize_t size, int64_t recv_ns, uint64_t position) except -1
    cdef int _drain(self) except -1
    cdef int _unusual(self, WSTransport transport, WSFrame frame) except -1
    cdef int _fragment(self, WSFrame frame) except -1
    cdef int _break_off(self, str cause, str detail) except -1
