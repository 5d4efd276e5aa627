"""Feed the compiled listener of imbalance.pyx and print what it found each second; Ctrl-C ends it.

cythonize -i examples/imbalance.pyx
python examples/imbalance_run.py [ws://127.0.0.1:8080]
"""

import asyncio
import contextlib
import sys

import uvloop
from imbalance import Imbalance

import engine


async def main() -> None:
    listener = Imbalance(levels=5)
    feed = engine.Feed(listener, url=sys.argv[1] if len(sys.argv) > 1 else None)
    feed.subscribe("linear", ["BTCUSDT"], book=50)
    async with feed:
        while True:
            await asyncio.sleep(1)
            print(
                f"{listener.updates} updates, bids are {listener.value:.0%} of the best 5 levels", flush=True
            )


with contextlib.suppress(KeyboardInterrupt):
    uvloop.run(main())
