"""The appender of the spool: records gather in a buffer and go to the segment with one `pwrite` a receive batch.

One thread only. The layout of a record is in docs/spool.md.
"""

from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from posix.unistd cimport pwrite


cdef extern from "crc32c.h" nogil:
    ctypedef uint32_t (*crc32c_function)(uint32_t crc, const void* data, size_t size)
    crc32c_function crc32c_chosen
    uint32_t crc32c_portable(uint32_t crc, const void* data, size_t size)


cdef uint32_t crc32c(uint32_t crc, const void* data, size_t size) noexcept nogil:
    return crc32c_chosen(crc, data, size)


cdef size_t record_bytes(uint32_t size) noexcept nogil:
    return (sizeof(RecordHeader) + size + RECORD_ALIGN - 1) & ~<size_t>(RECORD_ALIGN - 1)


cdef uint32_t record_crc(const RecordHeader* header) noexcept nogil:
    # `magic` is the seed; `crc` itself is left out.
    return crc32c_chosen(RECORD_MAGIC, <const char*>header + 8, record_bytes(header.size) - 8)


def crc32c_bytes(data not None, bint portable=False):
    """CRC32C of `data` (any buffer of bytes), as an int of 32 bits.

    `portable` computes it without the processor's instruction: the same value, slower.
    """
    cdef const uint8_t[::1] view = data
    cdef const void* start = &view[0] if view.shape[0] else NULL
    if portable:
        return crc32c_portable(0, start, view.shape[0])
    return crc32c_chosen(0, start, view.shape[0])


class JournalError(Exception):
    """The journal was used against its contract."""


cdef class Record:
    """One entry of the spool: an independent object that may be kept.

    `position` is segment number << 32 | record number (0: not recorded), `kind` one of `RecordKind`, `connection`
    the number of the connection it came by or is about (0: none), `recv_ns` wall clock, `mono_ns` monotonic clock.
    """

    def __repr__(self):
        return (
            f"Record(position={self.position >> 32}:{self.position & 0xFFFFFFFF}, kind={self.kind}, "
            f"connection={self.connection}, recv_ns={self.recv_ns}, {len(self.payload)} bytes)"
        )


cdef Record make_record(const RecordHeader* header):
    cdef Record record = Record.__new__(Record)
    record.position = header.position
    record.kind = header.kind
    record.connection = header.connection
    record.recv_ns = header.recv_ns
    record.mono_ns = header.mono_ns
    record.payload = (<const char*>(header + 1))[:header.size]
    return record


cdef class Journal:
    """Appends records to the segments that `spool` hands out.

    `spool` is called on the journal's own thread, and only when a segment is full or fails:

    - ``next_segment(position, recv_ns, used) -> (fd, number, size, payload) | None``: a preallocated segment and the
      payload of its first record; `used` bytes of the segment before are records. None: there is no room.
    - ``lost(start_ns, recv_ns, records) -> bytes``: the payload of a ``LOST`` record.
    - ``write_failed(error, used)``: a write ended with this errno; only `used` bytes of that segment hold records.

    A record that no segment takes is refused: `append_record` returns 0, `refused` counts it, a frame is still handed
    out for dispatch with position 0, and a ``LOST`` record tells the interval. Appending resumes by itself.
    """

    def __cinit__(self):
        self._fd = -1
        self._buffer = <char*>malloc(BATCH_BYTES_MAX)
        if self._buffer is NULL:
            raise MemoryError(f"no memory for a journal buffer of {BATCH_BYTES_MAX} bytes")

    def __dealloc__(self):
        free(self._buffer)

    def __init__(self, spool, int64_t recv_ns, int64_t mono_ns):
        self._spool = spool
        if not self._rotate(recv_ns, mono_ns):
            raise JournalError("the spool has no segment to start with")

    cdef uint64_t append(
        self,
        uint8_t kind,
        uint16_t connection,
        int64_t recv_ns,
        int64_t mono_ns,
        const char* payload,
        uint32_t size,
    ) except? 0:
        # Returns the record's position; 0 where it was refused. Nothing is written before `commit_raw`.
        cdef size_t need = record_bytes(size)
        if size > PAYLOAD_BYTES_MAX or <int64_t>need > self._limit - RESERVE_BYTES:
            return self._refuse(kind, connection, recv_ns, mono_ns, payload, size)
        if self._size + need > BATCH_BYTES_MAX:
            self._make_room(need)
        if (self._refusing or not self._fits(need)) and not (self._rotate(recv_ns, mono_ns) and self._fits(need)):
            return self._refuse(kind, connection, recv_ns, mono_ns, payload, size)
        self.position += 1
        self.records += 1
        if recv_ns > 0:
            self.recv_ns = recv_ns
        return self._put(self.position, kind, connection, recv_ns, mono_ns, payload, size)

    cdef bint _fits(self, size_t need) noexcept:
        return self._offset + <int64_t>(self._size - self._committed + need) <= self._limit

    cdef uint64_t _put(
        self,
        uint64_t position,
        uint8_t kind,
        uint16_t connection,
        int64_t recv_ns,
        int64_t mono_ns,
        const char* payload,
        uint32_t size,
    ) noexcept:
        cdef char* start = self._buffer + self._size
        cdef RecordHeader* header = <RecordHeader*>start
        cdef size_t total = record_bytes(size)
        header.magic = RECORD_MAGIC
        header.position = position
        header.recv_ns = recv_ns
        header.mono_ns = mono_ns
        header.size = size
        header.kind = kind
        header.flags = 0
        header.connection = connection
        memcpy(start + sizeof(RecordHeader), payload, size)
        memset(start + sizeof(RecordHeader) + size, 0, total - sizeof(RecordHeader) - size)
        header.crc = record_crc(header)
        self._size += total
        if kind == FRAME:
            self._waiting += 1
        return position

    cdef int _make_room(self, size_t need) except -1:
        self.commit_raw()
        if self._size + need > BATCH_BYTES_MAX:
            raise JournalError(
                f"{self._size} bytes of records wait for dispatch, the limit is {BATCH_BYTES_MAX}: "
                "take the frames after each receive batch"
            )
        return 0

    cdef uint64_t _refuse(
        self,
        uint8_t kind,
        uint16_t connection,
        int64_t recv_ns,
        int64_t mono_ns,
        const char* payload,
        uint32_t size,
    ) except? 0:
        self._count_lost(recv_ns)
        self.commit_raw()
        if kind == FRAME and size <= PAYLOAD_BYTES_MAX:
            if self._size + record_bytes(size) > BATCH_BYTES_MAX:
                self._make_room(record_bytes(size))
            self._put(0, kind, connection, recv_ns, mono_ns, payload, size)
            self._committed = self._size
        if not self._refusing:
            self.oversize += 1
            self._tell_lost(recv_ns, mono_ns)
        return 0

    cdef void _count_lost(self, int64_t recv_ns) noexcept:
        if self._lost == 0:
            self._lost_since_ns = recv_ns if recv_ns > 0 else self.recv_ns
        self._lost += 1
        self.refused += 1

    cdef int _tell_lost(self, int64_t recv_ns, int64_t mono_ns) except -1:
        cdef bytes payload = self._spool.lost(self._lost_since_ns, recv_ns, self._lost)
        self._lost = 0
        self.append(LOST, 0, recv_ns, mono_ns, payload, <uint32_t>len(payload))
        return 0

    cdef bint _rotate(self, int64_t recv_ns, int64_t mono_ns) except? False:
        # True: a new segment is open and its first records are on file.
        if self._closed:
            raise JournalError("the journal is closed")
        self.commit_raw()
        cdef object taken = self._spool.next_segment(self.position, self.recv_ns, self._offset)
        if taken is None:
            if not self._refusing:
                self._use_reserve(recv_ns, mono_ns)
                self._refusing = True
            return False
        fd, number, size, payload = taken
        self._fd = fd
        self._offset = 0
        self._limit = <int64_t>size - RESERVE_BYTES
        self.position = <uint64_t>number << 32
        self._refusing = False
        self._open_with(SEGMENT, recv_ns, mono_ns, payload)
        if self._lost:
            self._open_with(LOST, recv_ns, mono_ns, self._spool.lost(self._lost_since_ns, recv_ns, self._lost))
        self.commit_raw()
        if self._refusing:
            return False
        self._lost = 0
        return True

    cdef int _open_with(self, uint8_t kind, int64_t recv_ns, int64_t mono_ns, bytes payload) except -1:
        cdef size_t need = record_bytes(<uint32_t>len(payload))
        if len(payload) > PAYLOAD_BYTES_MAX or not self._fits(need):
            raise JournalError(
                f"the first record of a segment needs {need} bytes and a segment takes {self._limit}: "
                "choose larger segments"
            )
        if self._size + need > BATCH_BYTES_MAX:
            self._make_room(need)
        self.position += 1
        self.records += 1
        self._put(self.position, kind, 0, recv_ns, mono_ns, payload, <uint32_t>len(payload))
        return 0

    cdef int _use_reserve(self, int64_t recv_ns, int64_t mono_ns) except -1:
        # The ledger must know since when records are refused even if the process ends before writing resumes.
        cdef bytes payload = self._spool.lost(recv_ns if recv_ns > 0 else self.recv_ns, recv_ns, 0)
        if self._fd < 0 or record_bytes(<uint32_t>len(payload)) > RESERVE_BYTES:
            return 0
        self._limit += RESERVE_BYTES
        self._open_with(LOST, recv_ns, mono_ns, payload)
        self.commit_raw()
        return 0

    cdef int commit_raw(self) except -1:
        # Writes what was appended. A failed write raises nothing: it refuses the records it did not take.
        cdef size_t written = 0
        cdef size_t size = self._size - self._committed
        cdef ssize_t count
        if size == 0:
            self._reuse()
            return 0
        while written < size:
            count = pwrite(
                self._fd, self._buffer + self._committed + written, size - written, self._offset + <int64_t>written
            )
            if count > 0:
                written += count
            elif count == 0 or errno != EINTR:
                self._write_failed(written, errno)
                return 0
        self._committed = self._size
        self._offset += size
        self.commits += 1
        self._reuse()
        return 0

    cdef int _write_failed(self, size_t written, int error) except -1:
        # Whole records that reached the file stay recorded; the rest of the batch is refused, and so is this segment.
        cdef size_t end = self._committed + written
        cdef RecordHeader* header = <RecordHeader*>(self._buffer + self._committed)
        cdef size_t total
        self.position = header.position - 1
        while self._committed < self._size:
            header = <RecordHeader*>(self._buffer + self._committed)
            total = record_bytes(header.size)
            if self._committed + total <= end:
                self._offset += total
                self.position = header.position
            else:
                header.position = 0
                if header.kind != SEGMENT and header.kind != LOST:
                    self._count_lost(header.recv_ns)
            self._committed += total
        self.write_errors += 1
        self._fd = -1
        self._refusing = True
        self._spool.write_failed(error, self._offset)
        return 0

    cdef RecordHeader* pending(self, uint64_t* position) noexcept:
        # The next committed frame that was not handed out, NULL after the last. It stays valid until the next call.
        cdef RecordHeader* header
        self._in_hand = False
        while self._dispatched < self._committed:
            header = <RecordHeader*>(self._buffer + self._dispatched)
            self._dispatched += record_bytes(header.size)
            if header.kind == FRAME:
                self._waiting -= 1
                self._in_hand = True
                position[0] = header.position
                return header
        self._reuse()
        return NULL

    cdef void _reuse(self) noexcept:
        if self._waiting == 0 and not self._in_hand and self._committed == self._size:
            self._size = self._committed = self._dispatched = 0

    def append_record(
        self,
        int kind,
        bytes payload not None=b"",
        int connection=0,
        int64_t recv_ns=0,
        int64_t mono_ns=0,
    ):
        """Append one record and return its position, 0 where it was refused. It is on file after `commit`.

        A ``FRAME`` is handed out for dispatch like one that came by a connection: take it with `next_pending`.
        """
        if not SEGMENT < kind <= 255:
            raise ValueError(f"kind was {kind}; a record has a kind of 2 to 255: use a RecordKind other than SEGMENT")
        if not 0 <= connection <= 65535:
            raise ValueError(f"connection was {connection}; connections are numbered 0 to 65535")
        if len(payload) > PAYLOAD_BYTES_MAX:
            raise ValueError(f"the payload was {len(payload)} bytes; a record takes {PAYLOAD_BYTES_MAX}: split it")
        return self.append(
            <uint8_t>kind, <uint16_t>connection, recv_ns, mono_ns, payload, <uint32_t>len(payload)
        )

    def move(self, spool not None, int64_t recv_ns, int64_t mono_ns):
        """Go on in the segments of another spool; what was appended so far stays where it is.

        Not while frames wait for dispatch. JournalError then, and where that spool has no segment.
        """
        self.commit_raw()
        if self._waiting or self._in_hand:
            raise JournalError(f"{self._waiting} frames wait for dispatch: move the journal between receive batches")
        self._spool = spool
        if not self._rotate(recv_ns, mono_ns):
            raise JournalError("the spool has no segment to go on in")

    def commit(self):
        """Write everything appended so far to the segment."""
        self.commit_raw()

    def next_pending(self):
        """The next committed frame not yet handed out for dispatch as a Record, None after the last."""
        cdef uint64_t position
        cdef RecordHeader* header = self.pending(&position)
        return None if header is NULL else make_record(header)

    def close(self):
        """Write what is left and let the segment go; returns how many of its bytes are records. May be repeated."""
        self.commit_raw()
        self._closed = True
        self._refusing = True
        self._fd = -1
        return self._offset
