"""A process that writes frames to a spool in random batches, for ever: FOLDER SEED SEGMENT_BYTES.

The position of each goes to standard output at the moment its listener call would begin.
"""

import os
import random
import sys
from pathlib import Path

from ext.journal import RecordKind
from recorder.spool.writer import Spool
from tests.support.spools import Ticks


def main(folder: Path, seed: int, segment_bytes: int) -> None:
    """Write until killed, or until nobody listens."""
    choose = random.Random(seed)
    spool = Spool(folder, "here", now=Ticks(), segment_bytes=segment_bytes)
    index = seed
    while True:
        for _ in range(choose.choice([1, 1, 2, 4, 32])):
            index += 1
            spool.journal.append_record(RecordKind.FRAME, b"%d" % index * (index % 40), 1, index)
        spool.journal.commit()
        while (record := spool.journal.next_pending()) is not None:
            os.write(1, b"%d\n" % record.position)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
