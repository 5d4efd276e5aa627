"""SIGSTOP of a process with a feed: what waits in its sockets is read before anything is judged."""

import asyncio
import signal
import sys

from tests.support.loops import run
from tests.support.venue import Venue, running

PONG_TIMEOUT_S = 1.0
STOPPED_S = PONG_TIMEOUT_S + 1.5
CHILD = f"""
import sys
import engine

feed = engine.Feed(
    engine.Listener(), url=sys.argv[1], ping_interval_s=1.0, pong_timeout_s={PONG_TIMEOUT_S}
)
feed.subscribe("linear", ["BTCUSDT"])
feed.run()
"""


PONG = {"success": True, "ret_msg": "pong", "conn_id": "c1", "req_id": "", "op": "ping"}


def test_a_pong_that_waited_while_the_process_was_stopped_keeps_the_connection() -> None:
    async def main() -> None:
        venue = Venue()
        venue.answers_pings = False
        async with running(venue):
            child = await asyncio.create_subprocess_exec(sys.executable, "-c", CHILD, venue.url)
            try:
                for pings in (1, 2):
                    await venue.until(lambda pings=pings: venue.peers and venue.peers[0].pings >= pings)
                    child.send_signal(signal.SIGSTOP)
                    venue.peer.send(PONG)
                    await asyncio.sleep(STOPPED_S)  # of real time: another process is to miss its deadline
                    child.send_signal(signal.SIGCONT)
                await venue.until(lambda: len(venue.peers) > 1 or venue.peers[0].pings >= 3)
                assert len(venue.peers) == 1
            finally:
                child.kill()
                await child.wait()

    run(main(), timeout_s=40)
