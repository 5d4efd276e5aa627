from libc.stdint cimport uint32_t


cdef class Block:
    cdef:
        char* data
        readonly Py_ssize_t size
        readonly uint32_t crc
        Py_ssize_t _capacity

    cdef int reserve(self, Py_ssize_t size) except -1
    cdef void seal(self) noexcept


cdef class Blocks:
    cdef list _blocks

    cdef Block empty(self, Py_ssize_t size)
