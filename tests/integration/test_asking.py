"""SQL to a recording that has ended: exact, and no more admitted than while it runs."""

from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import UsageError
from recorder.folder import DataFolder
from recorder.queries.asking import ask, ask_raw
from tests.support.databases import embedded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    made = DataFolder(tmp_path_factory.mktemp("asking"))
    made.spool.mkdir()
    with embedded(made.database):
        return made


def test_decimals_are_exact_and_floats_are_floats(folder: DataFolder) -> None:
    answer = ask(
        folder,
        "SELECT toDecimal128('12345678901234567890.123456789', 9) AS d, toDecimal32(3, 2) AS e, 0.5 AS f",
    )
    assert answer.columns == ("d", "e", "f")
    assert answer.rows == [[Decimal("12345678901234567890.123456789"), Decimal(3), 0.5]]
    assert [type(cell) for cell in answer.rows[0]] == [Decimal, Decimal, float]


def test_the_format_of_a_statement(folder: DataFolder) -> None:
    assert ask_raw(folder, "SELECT 1 AS a FORMAT JSONEachRow;", "CSV") == b'{"a":1}\n'
    with pytest.raises(UsageError, match="named FORMAT CSV: give it as --format"):
        ask(folder, "SELECT 1 FORMAT CSV")


@pytest.mark.parametrize(
    "sql", ["", "SELECT 1 INTO OUTFILE '{file}'", "SELECT 1; SELECT 2", "SET readonly = 0"]
)
def test_what_is_not_admitted(folder: DataFolder, tmp_path: Path, sql: str) -> None:
    with pytest.raises(UsageError, match=r"statement was empty|not admitted|more than one|began with"):
        ask(folder, sql.format(file=tmp_path / "out"))
    assert not (tmp_path / "out").exists()
