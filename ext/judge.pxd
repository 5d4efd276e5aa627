from ext.decoded cimport Decoded, FrameKind

cdef FrameKind judge(Decoded decoded, const char* frame, Py_ssize_t size) except *
