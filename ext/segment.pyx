"""Reads a segment of the spool: record by record, past damage, and along with its writer.

Segments are read with `pread`, never mapped: a writer may cut the zero tail off a file at any moment.
"""

import os

from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from posix.unistd cimport close, pread

from ext.journal cimport PAYLOAD_BYTES_MAX, RECORD_ALIGN, RECORD_MAGIC, RecordHeader, make_record, record_bytes, record_crc

cdef enum:
    WINDOW_BYTES = 262144         # read at once
    LIVE_SCAN_BYTES = 1048576     # searched for a valid record behind a bad one while the writer is still there


cdef class Damage:
    """A stretch of a segment that is no record, with valid records after it.

    `position` is that of the last record before it, `next_position` of the first one after it. `start` and `end` are
    offsets in the segment, bytes; equal where records are missing without a trace.
    """

    def __init__(self, uint64_t position, uint64_t next_position, int64_t start=0, int64_t end=0):
        self.position = position
        self.next_position = next_position
        self.start = start
        self.end = end

    @property
    def records(self):
        """How many records were lost; -1 where whole segments are missing, which may have had any number."""
        if self.position >> 32 != self.next_position >> 32:
            return -1
        return self.next_position - self.position - 1

    def __repr__(self):
        return (
            f"Damage(after {self.position >> 32}:{self.position & 0xFFFFFFFF}, "
            f"before {self.next_position >> 32}:{self.next_position & 0xFFFFFFFF}, bytes {self.start} to {self.end})"
        )


cdef class SegmentReader:
    """Reads the records of one segment in their order.

    `source` is a path, or a buffer with the whole segment; `segment` is its number: a record of another segment is
    not valid here. `final` says that nothing will be appended: a bad stretch up to the end is then a torn tail, and
    zero bytes are searched for records behind them. It may be set once the writer has moved on.

    `offset` is where the next record is looked for, `position` and `recv_ns` are of the record read last. Not for
    several threads.
    """

    def __cinit__(self):
        self._fd = -1

    def __init__(self, source, segment, bint final=False):
        if not 0 < segment <= 0xFFFFFFFF:
            raise ValueError(f"segment was {segment}; segments are numbered 1 to 4294967295")
        self.position = <uint64_t>segment << 32
        self.final = final
        if isinstance(source, (str, os.PathLike)):
            self._fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        else:
            self._source = source
            self._window_size = self._source.shape[0]
            self._window = <char*>&self._source[0] if self._window_size else NULL

    def __dealloc__(self):
        self._release()

    cdef Found advance(self) except *:
        # The one step of reading. What it found is in `header` or `damage`.
        cdef const RecordHeader* header = self._valid_at(self.offset)
        if header is NULL or header.position != self.position + 1:
            return self._beyond()
        return self._take(header)

    cdef Found _take(self, const RecordHeader* header) noexcept:
        self.header = header
        self.position = header.position
        self.offset += record_bytes(header.size)
        if header.recv_ns > 0:
            self.recv_ns = header.recv_ns
        return RECORD

    cdef const RecordHeader* _valid_at(self, int64_t at) except? NULL:
        if self._load(at, sizeof(RecordHeader)) < <int64_t>sizeof(RecordHeader):
            return NULL
        cdef const RecordHeader* header = <const RecordHeader*>(self._window + (at - self._window_start))
        if header.magic != RECORD_MAGIC or header.size > PAYLOAD_BYTES_MAX:
            return NULL
        if header.position >> 32 != self.position >> 32 or header.position <= self.position:
            return NULL
        cdef int64_t total = record_bytes(header.size)
        if self._load(at, total) < total:
            return NULL
        header = <const RecordHeader*>(self._window + (at - self._window_start))
        return header if header.crc == record_crc(header) else NULL

    cdef Found _beyond(self) except *:
        # No expected record in the window: what is on file now decides.
        self._forget()
        cdef const RecordHeader* header = self._valid_at(self.offset)
        if header is not NULL and header.position == self.position + 1:
            return self._take(header)
        cdef int64_t found = self.offset
        if header is NULL:
            if not self.final and self._is_blank(self.offset):
                return NOTHING
            found = self._find_valid(self.offset + RECORD_ALIGN, -1 if self.final else self.offset + LIVE_SCAN_BYTES)
            if found < 0:
                return NOTHING
            # A write in progress may have shown its end before its beginning: only a second look is proof.
            self._forget()
            header = self._valid_at(self.offset)
            if header is not NULL:
                return self._take(header) if header.position == self.position + 1 else NOTHING
            header = self._valid_at(found)
            if header is NULL:
                return NOTHING
        self.damage = Damage(self.position, header.position, self.offset, found)
        self.offset = found
        self.position = header.position - 1
        return DAMAGE

    cdef bint _is_blank(self, int64_t at) except *:
        return self._load(at, 4) < 4 or (<const uint32_t*>(self._window + (at - self._window_start)))[0] == 0

    cdef int64_t _find_valid(self, int64_t start, int64_t end) except -2:
        # The first offset from `start` on that holds a valid record; -1 if there is none before `end` (-1: the end).
        cdef int64_t at = start
        cdef int64_t available
        while end < 0 or at < end:
            available = self._load(at, sizeof(RecordHeader))
            if available < <int64_t>sizeof(RecordHeader):
                return -1
            while available >= <int64_t>sizeof(RecordHeader):
                if (<const RecordHeader*>(self._window + (at - self._window_start))).magic == RECORD_MAGIC:
                    if self._valid_at(at) is not NULL:
                        return at
                    available = self._load(at, sizeof(RecordHeader))
                at += RECORD_ALIGN
                available -= RECORD_ALIGN
        return -1

    cdef int64_t _load(self, int64_t start, int64_t need) except -1:
        # Brings `need` bytes from `start` on into the window; returns how many there are, fewer only at the end.
        cdef int64_t available = self._window_start + self._window_size - start
        cdef int64_t capacity
        cdef ssize_t count
        if (start >= self._window_start and available >= need) or self._fd < 0:
            return available if available > 0 else 0
        if need > self._window_capacity:
            capacity = need if need > WINDOW_BYTES else WINDOW_BYTES
            self._window = <char*>realloc_or_raise(self._window, capacity)
            self._window_capacity = capacity
        self._window_start = start
        self._window_size = 0
        while self._window_size < self._window_capacity:
            count = pread(
                self._fd,
                self._window + self._window_size,
                self._window_capacity - self._window_size,
                start + self._window_size,
            )
            if count == 0:
                break
            if count > 0:
                self._window_size += count
            elif errno != EINTR:
                PyErr_SetFromErrno(OSError)
        return self._window_size

    cdef void _forget(self) noexcept:
        if self._fd >= 0:
            self._window_size = 0

    def next(self):
        """The next Record or Damage; None when there is nothing more, or nothing more yet (see `final`)."""
        cdef Found found = self.advance()
        if found == RECORD:
            return make_record(self.header)
        return self.damage if found == DAMAGE else None

    def skip(self, uint64_t position):
        """Read on until the record of `position` was read, handing out none; returns the Damage met.

        Ends at the first record after it where damage took it, and where there is nothing more.
        """
        cdef list damage = []
        cdef Found found
        while self.position < position:
            found = self.advance()
            if found == NOTHING:
                break
            if found == DAMAGE:
                damage.append(self.damage)
        return damage

    def __iter__(self):
        return self

    def __next__(self):
        item = self.next()
        if item is None:
            raise StopIteration
        return item

    def close(self):
        """Let the file or buffer go. May be repeated; there is nothing to read afterwards."""
        self._release()
        self._source = None

    cdef void _release(self) noexcept:
        if self._fd >= 0:
            close(self._fd)
            self._fd = -1
            free(self._window)
        self._window = NULL
        self._window_start = self._window_size = self._window_capacity = 0


cdef void* realloc_or_raise(void* memory, size_t size) except NULL:
    cdef void* moved = realloc(memory, size)
    if moved is NULL:
        raise MemoryError(f"no memory for a record of {size} bytes")
    return moved
