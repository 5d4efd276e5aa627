"""The users of deploy/, read by the engine: each may do what `tapehead schema --users` grants."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.database.schema import Layout
from recorder.database.users import HASHES, users
from tests.unit.test_repository import ROOT

OWN_USER = """
<default><password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<access_management>1</access_management></default>
"""
PROFILES = "<profiles><default/>"
SHOW_GRANTS = """
import os, sys
from pathlib import Path
from recorder.database import clickhouse
config = f"<users_config>{sys.argv[2]}</users_config></clickhouse>"
clickhouse._ENGINE_CONFIG = clickhouse._ENGINE_CONFIG.replace("</clickhouse>", config)
with clickhouse.open_embedded(Path(sys.argv[1])) as database:
    for user in sys.argv[3:]:
        for (grant,) in database.query(f"SHOW GRANTS FOR {user}"):
            print(grant)
"""


def _spelled(grant: str) -> tuple[str, list[str]]:
    """Whom and where, and the single rights, whatever their order."""
    found = re.fullmatch(r"GRANT (?:ON CLUSTER \w+ )?(.+) ON (\S+) TO (\w+)", grant)
    assert found is not None, grant
    return f"{found[3]} {found[2]}", sorted(found[1].split(", "))


@pytest.mark.parametrize(("place", "cluster"), [("server", ""), ("cluster", "market")])
def test_users_may_do_the_same_by_file_and_by_statement(place: str, cluster: str, tmp_path: Path) -> None:
    text = (ROOT / "deploy" / place / "users.d/tapehead.xml").read_text()
    text = text.replace('<default remove="remove"/>', OWN_USER).replace("<profiles>", PROFILES)
    path = tmp_path / "users.xml"
    path.write_text(text.replace("</clickhouse>", "<quotas><default/></quotas></clickhouse>"))
    answer = subprocess.run(
        [sys.executable, "-c", SHOW_GRANTS, str(tmp_path / "db"), str(path), *HASHES],
        env=os.environ | dict.fromkeys(HASHES.values(), "ab" * 32),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    told = answer.stdout.replace("READ, WRITE ON REMOTE", "REMOTE ON *.*")  # as newer engines spell it
    granted = sorted(map(_spelled, told.splitlines()))
    wanted = [_spelled(sql) for sql in users(Layout(cluster=cluster), {}) if sql.startswith("GRANT")]
    assert granted == sorted(wanted)
