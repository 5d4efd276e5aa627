"""A recording follows the venue's lists: listings join, delistings leave, the others see nothing."""

import json
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.recordings import Recording, Simulation, recording, simulation, tapehead, until

CONFIG = """
symbols = ["*USDT"]
exclude = ["XRP*"]
refresh_s = 1
"""


def happen(venue: Simulation, fault: str, symbol: str) -> None:
    script = json.dumps([{"fault": fault, "category": "linear", "symbol": symbol}]).encode()
    request = urllib.request.Request(
        f"{venue.rest}/simulator/faults", script, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


def with_data(running: Recording) -> set[str]:
    topics = running.folder.read_status("capture").get("topics", {}).get("linear", {})
    return {name for name, topic in topics.items() if topic["last_recv_ns"] > 0}


def events(data: Path) -> dict[str, list[Any]]:
    statement = "SELECT kind, topic, detail FROM events WHERE kind IN ('listed', 'delisted') ORDER BY kind"
    answer = tapehead("sql", statement, "--format", "JSONCompact", "--data", str(data))
    return {kind: [topic, detail] for kind, topic, detail in json.loads(answer.stdout)["data"]}


def test_it_follows_listings_and_delistings(tmp_path: Path) -> None:
    file, data = tmp_path / "record.toml", tmp_path / "data"
    file.write_text(CONFIG, encoding="utf-8")
    listed = "linear:BTCUSDT,linear:ETHUSDT,linear:XRPUSDT"
    with (
        simulation("--symbols", listed, "--rate", "100") as venue,
        recording(venue, data, "--config", str(file)) as running,
    ):
        until(lambda: len(with_data(running)) == 6, "both symbols")
        happen(venue, "listing", "NEWUSDT")
        happen(venue, "listing", "XRPNUSDT")
        until(lambda: "orderbook.50.NEWUSDT" in with_data(running), "the new one")
        happen(venue, "delisting", "ETHUSDT")
        until(lambda: not any("ETH" in topic for topic in with_data(running)), "the old one to leave")
        running.stop()
    assert events(data) == {
        "delisted": ["ETHUSDT", "status Closed"],
        "listed": ["NEWUSDT", "status Trading"],
    }
    gaps = json.loads(tapehead("gaps", str(data), "--json").stdout)["gaps"]
    assert [gap for gap in gaps if "ETH" not in gap["topic"]] == []
