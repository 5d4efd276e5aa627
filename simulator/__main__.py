"""`python -m simulator`: see --help."""

import sys

from simulator.command import main

sys.exit(main())
