from ext.segment cimport SegmentReader

cpdef tuple feed(SegmentReader reader, dict routes, Py_ssize_t limit)
