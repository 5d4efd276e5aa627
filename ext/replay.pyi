from ext.dispatch import Dispatcher
from ext.journal import Record
from ext.segment import Damage, SegmentReader

def feed(
    reader: SegmentReader, routes: dict[int, tuple[Dispatcher, int]], limit: int
) -> tuple[int, Record | Damage | None]: ...
