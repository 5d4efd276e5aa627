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
    NOTED = 14        # JSON {"kind", "topic", "detail"}: an event that frames do not tell

cpdef enum JournalLimit:
    PAYLOAD_BYTES_MAX = 4194304   # of one record
    BATCH_BYTES_MAX = 16777216    # appended and not yet dispatched
    RESERVE_BYTES = 4096          # at the end of a segment, held for a LOST record

# docs/spool.md has the layout: 40 bytes, naturally aligned, little-endian.
cdef struct RecordHeader:
    uint32_t magic
    uint32_t crc
    uint64_t position     # segment number << 32 | record number; in memory only, 0: not recorded
    int64_t recv_ns
    int64_t mono_ns
    uint32_t size         # of the payload, bytes
    uint8_t kind
    uint8_t flags
    uint16_t connection


cdef enum:
    RECORD_MAGIC = 0x31504154     # "TAP1"
    RECORD_ALIGN = 8


cdef uint32_t crc32c(uint32_t crc, const void* data, size_t size) noexcept nogil
cdef size_t record_bytes(uint32_t size) noexcept nogil
cdef uint32_t record_crc(const RecordHeader* header) noexcept nogil


cdef class Record:
    cdef:
        readonly uint64_t position
        readonly int kind
        readonly int connection
        readonly int64_t recv_ns
        readonly int64_t mono_ns
        readonly bytes payload

cdef Record make_record(const RecordHeader* header)


cdef class Journal:
    # `_buffer` is allocated once: a frame that was handed out stays where it is while callbacks append.
    cdef:
        char* _buffer
        size_t _size          # bytes appended
        size_t _committed     # of these, on file (or refused)
        size_t _dispatched    # of these, handed out by `pending`
        Py_ssize_t _waiting   # frames not yet handed out
        bint _in_hand         # a frame handed out may still be in use
        int _fd
        int64_t _offset       # where the next commit writes
        int64_t _limit        # bytes of the segment without its reserve
        object _spool
        bint _refusing        # no segment takes records
        bint _closed
        int64_t _lost_since_ns
        uint64_t _lost        # records refused since then
        readonly uint64_t position
        readonly int64_t recv_ns
        readonly uint64_t records
        readonly uint64_t commits
        readonly uint64_t refused
        readonly uint64_t oversize
        readonly uint64_t write_errors

    cdef uint64_t append(self, uint8_t kind, uint16_t connection, int64_t recv_ns, int64_t mono_ns, const char* payload, uint32_t size) except? 0
    cdef int commit_raw(self) except -1
    cdef RecordHeader* pending(self, uint64_t* position) noexcept
    cdef bint _fits(self, size_t need) noexcept
    cdef uint64_t _put(self, uint64_t position, uint8_t kind, uint16_t connection, int64_t recv_ns, int64_t mono_ns, const char* payload, uint32_t size) noexcept
    cdef uint64_t _refuse(self, uint8_t kind, uint16_t connection, int64_t recv_ns, int64_t mono_ns, const char* payload, uint32_t size) except? 0
    cdef bint _rotate(self, int64_t recv_ns, int64_t mono_ns) except? False
    cdef int _open_with(self, uint8_t kind, int64_t recv_ns, int64_t mono_ns, bytes payload) except -1
    cdef int _use_reserve(self, int64_t recv_ns, int64_t mono_ns) except -1
    cdef void _count_lost(self, int64_t recv_ns) noexcept
    cdef int _tell_lost(self, int64_t recv_ns, int64_t mono_ns) except -1
    cdef int _write_failed(self, size_t written, int error) except -1
    cdef int _make_room(self, size_t need) except -1
    cdef void _reuse(self) noexcept
