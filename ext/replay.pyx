"""Runs what a segment holds through dispatchers, without a Python object per frame."""

from libc.stdint cimport int64_t

from ext.dispatch cimport Dispatcher
from ext.journal cimport FRAME, RecordHeader, make_record
from ext.segment cimport DAMAGE, RECORD, Found, SegmentReader


cpdef tuple feed(SegmentReader reader, dict routes, Py_ssize_t limit):
    """Feed up to `limit` frames from `reader` to their dispatchers; returns ``(frames, item)``.

    `routes` maps a connection's number to its ``(Dispatcher, leg)``. `item` is what ended the run: a Record that is no
    frame, or a frame of a connection that has no route; a Damage; None at the limit or when there is nothing more
    (fewer frames than the limit). An exception from a dispatcher passes through; its frame counts as read.
    """
    cdef const RecordHeader* header
    cdef Dispatcher dispatcher = None
    cdef Found found
    cdef int connection = -1
    cdef int leg = 0
    cdef Py_ssize_t frames = 0
    if reader is None or routes is None:
        raise TypeError("feed takes a SegmentReader and its routes, was None")
    while frames < limit:
        found = reader.advance()
        if found != RECORD:
            return frames, reader.damage if found == DAMAGE else None
        header = reader.header
        if header.kind != FRAME:
            return frames, make_record(header)
        if header.connection != connection:
            route = routes.get(header.connection)
            if route is None:
                return frames, make_record(header)
            dispatcher, leg = route
            connection = header.connection
        frames += 1
        dispatcher.feed_raw(<const char*>(header + 1), header.size, header.recv_ns, leg, header.position)
    return frames, None
