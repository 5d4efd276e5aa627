from libc.stdint cimport int64_t

from ext.decoded cimport FrameKind
from ext.listener cimport Kline
from ext.topics cimport Topic

cdef list read_items(FrameKind kind, Topic topic, list elements)
cdef Kline read_closed_kline(Topic topic, list row, int64_t end_ms)
cdef int64_t decimal_ms(object text) except? -1
cdef str content_of(FrameKind kind, list items, object data)
