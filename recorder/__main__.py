"""``python -m recorder``: the ``tapehead`` command, and the processes that it starts."""

import sys

from recorder import cli
from recorder.recording import processes

if sys.argv[1:2] == ["guard"]:
    processes.guard(int(sys.argv[2]), sys.argv[3:])
elif sys.argv[1:] and sys.argv[1] in processes.NAMES:
    sys.exit(processes.main(sys.argv[1]))
else:
    sys.exit(cli.main())
