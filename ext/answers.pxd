from libc.stdint cimport int64_t

from ext.book cimport OrderBook
from ext.change cimport BookChange
from ext.decoded cimport Decoded
from ext.topics cimport Topic

cdef tuple read_answer(object body)
cdef BookChange read_book(dict result, str symbol)
cdef Py_ssize_t read_trades(Decoded target, dict result) except -1
cdef list read_klines(Topic topic, dict result)
