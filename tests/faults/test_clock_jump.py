"""The wall clock jumps by an hour, forth and back, under a running recording."""

from pathlib import Path

from recorder.coverage import coverage
from recorder.queries.server import open_for_reading
from tests.support.recordings import Recording, recording, simulation, tapehead, until
from tests.support.shifted_clock import shifted_clock

HOUR_S = 3600.0


def wait_more(running: Recording) -> None:
    seen = running.frames()
    until(lambda: running.frames() > seen + 200, "frames after a jump")


def test_an_hour_forth_and_back_leaves_no_second_uncovered_and_opens_no_gap(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with (
        simulation("--symbols", "linear:BTCUSDT", "--rate", "100") as venue,
        shifted_clock(tmp_path) as clock,
        recording(venue, data, "BTCUSDT", "--tickers") as running,
    ):
        until(lambda: running.frames() > 100, "the first frames")
        for offset_s in (HOUR_S, -HOUR_S, 0.0):
            clock.shift(offset_s)
            wait_more(running)
        running.stop()
    found = coverage(data / "spool")
    assert found.uncovered == {topic: [] for topic in found.wanted}
    assert found.is_complete
    with open_for_reading(data) as database:
        assert database.query("SELECT count() FROM gaps") == [(0,)]
        assert database.query("SELECT count() FROM events WHERE kind = 'clock_stepped'") == [(3,)]
    assert tapehead("verify", str(data), "--json").returncode == 0
