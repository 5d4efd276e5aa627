from ext.listener cimport Kline, Liquidation
from ext.topics cimport Topic

cdef Kline read_kline(str category, Topic topic, int index, dict fields)
cdef Liquidation read_liquidation(str category, Topic topic, int index, dict fields)
