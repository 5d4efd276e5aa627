from libc.stdint cimport int64_t, uint64_t

from ext.book cimport OrderBook
from ext.change cimport BookChange
from ext.led cimport Led
from ext.listener cimport Trade
from ext.topics cimport Topic


cdef class Answered(Led):
    cdef Trade _trade

    cpdef rest(self, str use, str topic, body, int64_t recv_ns, int leg=*, uint64_t position=*)

    cdef object _read(self, str use, Topic topic, dict result)
    cdef int _take_full(self, const char* frame, Py_ssize_t size) except -1
    cdef int _try_splice(self, Topic topic) except -1
    cdef OrderBook _spliced(self, Topic topic, Py_ssize_t matched)
    cdef int _fill_trades(self, Topic topic, Py_ssize_t count, int64_t time_ms) except -1
    cdef int _fill_klines(self, Topic topic, list klines, int64_t time_ms) except -1
    cdef int _tell_filled(self, Topic topic, Py_ssize_t count, str what, bint reaches_back) except -1
    cdef int _deliver_trades(self, Topic topic, Py_ssize_t count) except -1
    cdef int _deliver_items(self, Topic topic, list items, int64_t ts_ms) except -1
