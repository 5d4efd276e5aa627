from ext.decoded cimport FrameKind
from ext.topics cimport Topic

cdef list read_items(FrameKind kind, Topic topic, list elements)
