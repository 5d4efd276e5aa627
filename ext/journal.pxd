from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cpdef enum RecordKind:
    # 0 is never written: a zero word is the end of a segment.
    SEGMENT = 1       # first record of every segment: JSON, what the segment needs to stand alone
    FRAME = 2         # one frame as received
    CONNECTED = 3     # JSON {"connection", "category", "leg", "url"}
    DISCONNECTED = 4  # JSON {"connection", "cause", "detail"}
    REQUESTED = 5     # JSON {"connection", "op", "topics"}
    CONFIRMED = 6     # JSON {"connection", "op", "topics"}
    REJECTED = 7      # JSON {"connection", "topics", "reason"}
    STALLED = 8       # JSON {"connection", "topics", "detail"}
    CLOCK = 9         # JSON {"step_ns"}
    REST = 10         # JSON {"path", "query", "category", "body"}
    HEARTBEAT = 11    # empty
    LOST = 12         # JSON {"topics", "start_ns", "cause", "fault", "detail"}
    STOPPED = 13      # empty: the recorder ended on purpose


cdef packed struct RecordHeader:
    uint32_t magic
    uint32_t crc
    uint32_t size         # of the payload, bytes
    uint8_t kind
    uint8_t flags
    uint16_t connection
    int64_t recv_ns
    int64_t mono_ns


cdef uint32_t crc32c(uint32_t crc, const void* data, size_t size) noexcept nogil


cdef class Journal:
    # Bytes appended and not yet dispatched stay readable: `pending` walks them by offset, never by pointer, because a
    # callback may append (and so move) the buffer.
    cdef:
        char* _buffer
        size_t _size
        size_t _capacity
        size_t _committed
        size_t _dispatched
        int _fd
        int64_t _offset
        int64_t _limit
        uint64_t _position
        object _next_segment

    cdef uint64_t append(self, uint8_t kind, uint16_t connection, int64_t recv_ns, int64_t mono_ns, const char* payload, uint32_t size) except 0
    cdef int commit_raw(self) except -1
    cdef RecordHeader* pending(self, uint64_t* position) noexcept
