"""A capture process with small segments, so that many are sealed, loaded and expired.

Run as ``python -m tests.soak.capture capture`` by a Supervisor.
"""

import sys
from functools import partial

from recorder.recording import capture, processes
from recorder.recording.processes import Handover, Tell
from recorder.spool import writer as spool

SEGMENT_BYTES = 4 << 20


def run(given: Handover, tell: Tell) -> int:
    capture.Spool = partial(spool.Spool, segment_bytes=SEGMENT_BYTES)
    recording = capture.Capture(given.config, shard=given.shard, former=given.former)
    capture.run(recording, tell, is_resumed=given.is_resumed)
    return 0


if __name__ == "__main__":
    sys.exit(processes.serve(sys.argv[1], run))
