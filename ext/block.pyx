"""The bytes of an insert, in memory that is used again.

Fresh memory for each block costs more than filling it: the system clears it page by page.
"""

from cpython.buffer cimport PyBuffer_FillInfo
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc

from ext.journal cimport crc32c


cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(object)


cdef class Block:
    """Read-only bytes by the buffer protocol; `crc` is their CRC-32C."""

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t size) except -1:
        # Nothing of it is kept. A quarter more, so that blocks of about the same size find room.
        if size > self._capacity:
            free(self.data)
            self._capacity = 0
            self.data = <char*>malloc(size + size // 4)
            if self.data is NULL:
                raise MemoryError(f"no memory for a block of {size} bytes")
            self._capacity = size + size // 4
        self.size = size
        return 0

    cdef void seal(self) noexcept:
        self.crc = crc32c(0, self.data, self.size)

    def __len__(self):
        return self.size

    def __getbuffer__(self, Py_buffer* buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 1, flags)


cdef class Blocks:
    """Hands out blocks; one that nobody holds any more is handed out again."""

    def __cinit__(self):
        self._blocks = []

    cdef Block empty(self, Py_ssize_t size):
        cdef Block block
        for block in self._blocks:
            # Held by the list and by `block` only.
            if Py_REFCNT(block) == 2:
                break
        else:
            block = Block()
            self._blocks.append(block)
        block.reserve(size)
        return block
