"""The schema of a cluster, executed: Distributed tables over local ones, loaded into and asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from recorder.database.clickhouse import Database
from recorder.database.schema import DISTRIBUTED_TABLES
from recorder.database.schema_diff import _compared, _in_layout
from recorder.loading.loader import Loader
from recorder.sql import VIEWS
from recorder.verify import verify
from tests.support.cluster import LAYOUT, cluster
from tests.support.market import SpoolMaker, make_market

# In a process of its own: an engine with replicated tables does not end by itself.
CREATE_ALL = """
import json, os, sys
from pathlib import Path
from pytest import MonkeyPatch
from recorder.database.schema import tables, views
from recorder.database.schema_diff import _catalog
from tests.support.cluster import LAYOUT, cluster
with cluster(Path(sys.argv[1]), MonkeyPatch(), is_replicated=True) as place:
    for sql in (*tables(LAYOUT), *views(LAYOUT)):
        place.command(sql)
    print(json.dumps(_catalog(place, place.name)), flush=True)
    os._exit(0)
"""


def test_a_spool_is_loaded_into_the_tables_of_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    make_market(maker, 200)
    maker.close()
    with cluster(tmp_path / "clickhouse", monkeypatch) as place:
        database = cast(Database, place)
        place.create_schema()
        assert place.create_schema() == []
        loader = Loader(tmp_path / "spool", database, "r1", tmp_path, batch_records=50)
        loader.recover()
        loader.drain()
        loader.close()
        report = verify(tmp_path / "spool", database, "r1")
        assert report.problems == []
        assert len(report.books) == 2
        (rows, local) = place.query("SELECT (SELECT count() FROM trade), (SELECT count() FROM trade_local)")[
            0
        ]
        assert rows == local > 0
        place.delete("trade", "recorder = 'r1'")
        assert place.query("SELECT count() FROM trade") == [(0,)]
        assert place.create_schema() == []


def test_each_table_of_a_cluster_is_created_as_it_is_printed(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", CREATE_ALL, str(tmp_path)],
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    made = json.loads(answer.stdout)
    assert set(made) == {*VIEWS, *DISTRIBUTED_TABLES, *(f"{name}_local" for name in DISTRIBUTED_TABLES)}
    engine = "ReplicatedMergeTree('/clickhouse/tables/{shard}/tapehead/trade_local', '{replica}')"
    assert made["trade_local"]["engine"] == engine
    expected = _in_layout(made_plain(made), LAYOUT)
    differ = [line for name in expected for line in _compared(name, expected[name], made[name])]
    assert differ == []
    del made["trade_local"]["setting replicated_deduplication_window"]
    made["trade"]["engine"] = "Distributed('market', 'tapehead', 'trade_local', rand())"
    made["bbo"]["column recorder"] = "String"
    differ = [
        line.split(" is ")[0] for name in expected for line in _compared(name, expected[name], made[name])
    ]
    assert sorted(differ) == [
        "bbo: column recorder",
        "trade: engine",
        "trade_local: setting replicated_deduplication_window",
    ]


def made_plain(made: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """The catalog of the same tables on one server."""
    plain = {name: made[name] for name in VIEWS}
    for name in DISTRIBUTED_TABLES:
        local = made[f"{name}_local"]
        plain[name] = {key: value for key, value in local.items() if "setting replicated" not in key}
        plain[name] |= {"engine": "MergeTree"}
    return plain
