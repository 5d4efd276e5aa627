from libc.stdint cimport int64_t, uint8_t, uint64_t

from ext.journal cimport RecordHeader

cdef enum Found:
    NOTHING = 0    # the end, a torn tail, or not written yet
    RECORD = 1     # `header`
    DAMAGE = 2     # `damage`


cdef class Damage:
    cdef:
        readonly uint64_t position
        readonly uint64_t next_position
        readonly int64_t start
        readonly int64_t end


cdef class SegmentReader:
    # `_window` holds a stretch of the segment; of a buffer, the whole of it.
    cdef:
        readonly uint64_t position    # of the record read last
        readonly int64_t recv_ns      # of the record read last
        readonly int64_t offset       # where the next record is looked for
        public bint final
        const RecordHeader* header    # found last; valid until the next `advance`
        Damage damage
        const uint8_t[::1] _source
        int _fd
        char* _window
        int64_t _window_start
        int64_t _window_size
        int64_t _window_capacity

    cdef Found advance(self) except *
    cdef Found _take(self, const RecordHeader* header) noexcept
    cdef Found _beyond(self) except *
    cdef const RecordHeader* _valid_at(self, int64_t at) except? NULL
    cdef int64_t _find_valid(self, int64_t start, int64_t end) except -2
    cdef bint _is_blank(self, int64_t at) except *
    cdef int64_t _load(self, int64_t start, int64_t need) except -1
    cdef void _forget(self) noexcept
    cdef void _release(self) noexcept
