"""Typed column buffers that render as ClickHouse Native blocks."""

from cpython.object cimport PyObject
from libc.stdint cimport int8_t, int64_t, uint8_t, uint32_t, uint64_t

from ext.block cimport Block, Blocks


cdef extern from "Python.h":
    PyObject* PyList_GET_ITEM(list items, Py_ssize_t at) noexcept  # borrowed


cdef class Column:
    cdef:
        readonly str name
        readonly str type
        bytes _header

    cdef int reserve(self, Py_ssize_t rows) except -1
    cdef int put(self, Py_ssize_t row, object value) except -1
    cdef Py_ssize_t size(self, Py_ssize_t rows) except -1
    cdef char* write(self, char* out, Py_ssize_t rows) noexcept
    cdef void clear(self)


cdef class Fixed(Column):
    # `data` moves when the column grows: take it anew for each row.
    cdef:
        char* data
        readonly int width
        Py_ssize_t _capacity
        dict _members
        bint _is_decimal


cdef class Text(Column):
    cdef:
        Fixed _ends
        char* _data
        Py_ssize_t _capacity

    cdef int put_raw(self, Py_ssize_t row, const char* text, Py_ssize_t size) except -1


cdef enum:
    RECENT_SLOTS = 256


cdef inline Py_ssize_t recent_slot(object key) noexcept:
    # Objects of the size of a short name lie 64 bytes apart.
    return (<size_t><PyObject*>key >> 6) % RECENT_SLOTS


cdef class Recent:
    cdef:
        list keys
        list values

    cdef inline PyObject* get(self, object key) noexcept:
        cdef Py_ssize_t at = recent_slot(key)
        return PyList_GET_ITEM(self.values, at) if PyList_GET_ITEM(self.keys, at) is <PyObject*>key else NULL

    cdef void put(self, object key, object value)
    cdef void clear(self)


cdef class Symbols(Column):
    cdef:
        Fixed _ids
        Text _keys
        dict _known
        Recent _recent

    cdef uint32_t _id(self, str text) except? 0xFFFFFFFF
    cdef int _id_width(self) noexcept
    cdef int put_text(self, Py_ssize_t row, str text) except -1


cdef class Optional(Column):
    cdef:
        Fixed nulls
        Fixed values


cdef class List(Column):
    cdef:
        Fixed _ends
        Column _items

    cdef int64_t* room(self, Py_ssize_t row, Py_ssize_t count) except NULL


cdef class Pairs(Column):
    cdef:
        List _keys
        List _values


cdef class Table:
    cdef:
        readonly str name
        readonly Py_ssize_t rows
        dict _columns
        Py_ssize_t _capacity
        Blocks _blocks

    cdef Py_ssize_t begin(self) except -1
    cpdef object append(self, dict values)
    cpdef Block take(self)
    cpdef object clear(self)
    cdef Fixed fixed(self, str name, int width)


cdef int put_scaled(char* out, int64_t mantissa, int scale) noexcept nogil
