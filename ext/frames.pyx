"""The picows end: stamps each frame first, journals it, and hands its bytes to the dispatcher without a Python object."""

from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from picows.picows cimport WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from ext.dispatch cimport Dispatcher
from ext.journal cimport FRAME, Journal, RecordHeader
from ext.journal import JournalError


cdef inline int64_t _clock_ns(int clock) noexcept nogil:
    cdef timespec now
    clock_gettime(clock, &now)
    return <int64_t>now.tv_sec * 1_000_000_000 + now.tv_nsec


cdef class FrameListener(WSListener):
    """Feeds the messages of one connection to `dispatcher`, in order, each of them: nothing is conflated.

    With a `journal`, all frames of a receive batch are in its file before the first callback of the batch begins.
    `owner` gets ``on_connected(transport)``, ``on_disconnected(transport)``, ``on_fault(error)`` for an exception that
    should not have been, and ``on_broken(cause, detail)`` when the stream can no longer be followed and the connection
    must be replaced. Nothing is ever raised into picows. One object serves one connection after another; its counters
    go on.
    """

    def __init__(
        self,
        Dispatcher dispatcher not None,
        object owner not None,
        *,
        int leg=0,
        int connection=0,
        Journal journal=None,
        Py_ssize_t message_bytes_max=4 * 1024 * 1024,
    ):
        if not 0 <= connection <= 0xFFFF:
            raise ValueError(f"connection was {connection}; connections are numbered 0 to 65535")
        self._dispatcher = dispatcher
        self._journal = journal
        self._owner = owner
        self._leg = leg
        self._connection = <uint16_t>connection
        self._message_bytes_max = message_bytes_max

    cpdef on_ws_connected(self, WSTransport transport):
        self.opened(transport)

    cpdef on_ws_disconnected(self, WSTransport transport):
        self.closed(transport)

    cpdef opened(self, object transport):
        """A connection is open, over whatever transport; `transport` is handed on to `owner`."""
        self._partial = None
        try:
            self._owner.on_connected(transport)
        except Exception as error:
            # Without its subscriptions the connection is of no use: better none than one that is silent.
            self._fault(error)
            transport.disconnect()

    cpdef closed(self, object transport):
        """That connection is closed."""
        self._partial = None
        if self._journal is not None:
            # A batch that broke off has no last frame; what is pending must not meet another connection's dispatcher.
            try:
                self._drain()
            except Exception as error:
                self._fault(error)
        self._owner.on_disconnected(transport)

    cpdef received(self, messages, int64_t recv_ns, int64_t mono_ns):
        """One receive batch of whole text messages, each ``bytes``, stamped by the caller; else as from a socket."""
        cdef bytes message
        self.last_recv_ns = recv_ns
        self.last_mono_ns = mono_ns
        try:
            for message in messages:
                self.frames += 1
                self.bytes += len(message)
                self._accept(message, len(message))
            if self._journal is not None:
                self._drain()
        except Exception as error:
            self._fault(error)

    cpdef on_ws_frame(self, WSTransport transport, WSFrame frame):
        self.last_recv_ns = _clock_ns(CLOCK_REALTIME)
        self.last_mono_ns = _clock_ns(CLOCK_MONOTONIC)
        self.frames += 1
        self.bytes += frame.payload_size
        try:
            if frame.msg_type == WSMsgType.TEXT and frame.fin and self._partial is None:
                self._accept(frame.payload_ptr, frame.payload_size)
            else:
                self._unusual(transport, frame)
            if frame.last_in_buffer and self._journal is not None:
                self._drain()
        except Exception as error:
            self._fault(error)

    cdef int _fault(self, object error) except -1:
        self.faults += 1
        self._owner.on_fault(error)
        return 0

    cdef int _accept(self, const char* message, Py_ssize_t size) except -1:
        if self._journal is None:
            return self._dispatch(message, size, self.last_recv_ns, 0)
        try:
            self._journal.append(
                FRAME, self._connection, self.last_recv_ns, self.last_mono_ns, message, <uint32_t>size
            )
        except JournalError as error:
            # A book must not stay as it is because nobody writes any more: what cannot be recorded is dispatched.
            self.unrecorded += 1
            self._fault(error)
            self._drain()
            self._dispatch(message, size, self.last_recv_ns, 0)
        return 0

    cdef int _drain(self) except -1:
        cdef:
            uint64_t position = 0
            RecordHeader* record

        self._journal.commit_raw()
        record = self._journal.pending(&position)
        while record != NULL:
            self._dispatch(<const char*>(record + 1), record.size, record.recv_ns, position)
            record = self._journal.pending(&position)
        return 0

    cdef int _dispatch(self, const char* message, Py_ssize_t size, int64_t recv_ns, uint64_t position) except -1:
        # Isolated one by one: what one frame did must not keep the rest of its batch from being handed on.
        try:
            self._dispatcher.feed_raw(message, size, recv_ns, self._leg, position)
        except Exception as error:
            self._fault(error)
        return 0

    cdef int _unusual(self, WSTransport transport, WSFrame frame) except -1:
        """Whatever is not a whole text message; picows answers no ping here, as it would hide a batch's last frame."""
        if frame.msg_type == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type != WSMsgType.PONG:
            self._fragment(frame)
        return 0

    cdef int _fragment(self, WSFrame frame) except -1:
        """Put messages together that came in several frames; picows does not."""
        cdef bytearray message
        self.fragments += 1
        if (frame.msg_type == WSMsgType.CONTINUATION) == (self._partial is None):
            return self._break_off("protocol", "a fragment without a beginning, or a message inside another")
        if self._partial is None:
            self._partial = bytearray()
        if len(self._partial) + frame.payload_size > self._message_bytes_max:
            return self._break_off("message_too_big", f"a message exceeded {self._message_bytes_max} bytes")
        self._partial += frame.payload_ptr[:frame.payload_size]
        if frame.fin:
            message, self._partial = self._partial, None
            self._accept(message, len(message))
        return 0

    cdef int _break_off(self, str cause, str detail) except -1:
        self._partial = None
        self._owner.on_broken(cause, detail)
        return 0
