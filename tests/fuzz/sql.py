"""Statements put together from escapes: what is admitted changes nothing, and reads nothing from outside.

Each case mutates and combines seeds, and asks the real engine what admission lets through, over the same kind
of connection as while recording. A canary file lies in reach, a table counts its rows.
"""

import atexit
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from recorder.database.clickhouse import Database, DatabaseError, open_embedded
from recorder.queries.admission import RefusedError, admit
from recorder.queries.server import LIMITS, outward_functions

CANARY: Final = "canary-5b1c"
STATEMENTS_MAX: Final = 12
# Shorter than while recording: a case is to end.
LIMITS_HERE: Final = {
    **LIMITS,
    "max_execution_time": 2,
    "max_result_rows": 100_000,
    "max_rows_to_read": 10_000_000,
}

READING: Final = (
    "SELECT 1",
    "SELECT n FROM kept",
    "WITH x AS (SELECT 1 AS n) SELECT * FROM x",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "SELECT {name:String}",
    "SHOW TABLES",
    "SHOW CREATE TABLE kept",
    "DESCRIBE TABLE kept",
    "EXISTS TABLE kept",
    "EXPLAIN SELECT n FROM kept",
    "EXPLAIN AST SELECT 1",
    "SELECT * FROM numbers(3) AS a, numbers(3) AS b",
    "SELECT name FROM system.settings",
    "SELECT arrayMap(x -> x + 1, [1, 2])",
    "SELECT * APPLY toString FROM kept",
    "SELECT x.1 FROM (SELECT (1, 2) AS x)",
)
CLAUSES: Final = (
    "INTO OUTFILE '{out}'",
    "INTO OUTFILE '{out}' TRUNCATE FORMAT CSV",
    "FORMAT CSV INTO OUTFILE '{out}'",
    "SETTINGS readonly = 0",
    "SETTINGS readonly = 1, readonly = 0",
    "SETTINGS max_memory_usage = 0, max_execution_time = 0",
    "FORMAT CSV",
    "FORMAT CSV SETTINGS readonly = 0",
    "; DROP TABLE kept",
    "PARALLEL WITH DROP TABLE kept",
    "LIMIT 1. INTO OUTFILE '{out}'",
    "WHERE 1. SETTINGS readonly = 0",
    "UNION ALL SELECT file('{canary}')",
    "-- ",
    "/* ",
)
STATEMENTS: Final = (
    "INSERT INTO kept VALUES (1)",
    "INSERT INTO kept SELECT 4",
    "INSERT INTO FUNCTION file('{out}') SELECT 1",
    "DROP TABLE kept",
    "TRUNCATE TABLE kept",
    "ALTER TABLE kept DELETE WHERE 1",
    "CREATE TABLE other (n UInt8) ENGINE = Memory",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "SET max_threads = 3",
    "USE default",
    "WITH x AS (SELECT 5 AS n) INSERT INTO kept SELECT n FROM x",
    "SELECT 1 PARALLEL WITH DROP TABLE kept",
)
BEFORE: Final = ("", "", "EXPLAIN ", "EXPLAIN AST ", "(", "SELECT 1; ", "WITH 1 AS x ", "/* */", "EXISTS ")
SOURCES: Final = (
    "kept",
    "file('{canary}', 'LineAsString')",
    "url('http://127.0.0.1:9/', 'LineAsString')",
    "s3('http://127.0.0.1:9/x')",
    "remote('127.0.0.1:9', 'a', 'b')",
    "executable('cat', 'TSV', 'x String')",
    "python(kept)",
    "merge('default', '.*')",
    "eval('DROP TABLE kept')",
    "format('Values', 'x String', '(file(''{canary}''))')",
    "viewExplain('EXPLAIN', '', (SELECT 1))",
    "default.`{canary}`",
    "`default`.`{canary}`",
    "{{d:Identifier}}.{{t:Identifier}}",
    "{{t:Identifier}}",
    "'{canary}'",
    "`{canary}`",
    "`default.{canary}`",
    "system.stack_trace",
    "view(SELECT file('{canary}'))",
)
EXPRESSIONS: Final = (
    "file('{canary}')",
    "hasColumnInTable('default', '{canary}', 'a')",
    "joinGet('default.{canary}', 'a', 1)",
    "dictGet('default.{canary}', 'a', 1)",
    "arrayMap(file, ['{canary}'])",
    "arrayMap(x -> file(x), ['{canary}'])",
    "* APPLY file",
    "1 IN default.`{canary}`",
    "$$ INTO OUTFILE '{out}' $$",
    "{{name:String}}",
)
SHAPES: Final = (
    "SELECT * FROM {source}",
    "SELECT {expression}",
    "SELECT {expression} FROM {source}",
    "SELECT * FROM kept WHERE n IN (SELECT * FROM {source})",
    "SELECT * FROM (SELECT '{canary}' AS a) WHERE {expression}",
    "WITH {expression} AS x SELECT x",
    "WITH x AS (SELECT * FROM {source}) SELECT * FROM x",
    "DESCRIBE TABLE {source}",
    "EXPLAIN SELECT * FROM {source}",
    "EXISTS TABLE {source}",
    "SELECT 1 UNION ALL SELECT {expression}",
    "SELECT a.* FROM kept AS a CROSS JOIN {source}",
)
SPACES: Final = ("/**/", "\n", "\t", " -- x\n", "\x0b", "\f", " /* ' */ ", "/*\n*/", "  ")
GLUE: Final = (
    *SPACES, " --", "#\n", "/*", "*/", "(", ")", ".", "1.", " 1. ", ",", ";", "'", "\\", '"', "`", "$$", "\0",
    "\u00a0", "\u2212\u2212", " FROM ", " WHERE ", " SELECT ", " EXPLAIN ", " UNION ALL ", " AS ", " IN ",
    "::", " view(", "{x:Identifier}", "\ufeff", "0x1f.", "@@",
)  # fmt: skip
FORMATS: Final = ("TSV", "Native", "JSONCompact", "Values", "SQLInsert")


class Place(NamedTuple):
    """The engine, the connection that is tried, and the files beside it."""

    folder: Path
    database: Database
    reader: Database
    outward: frozenset[str]
    names: dict[str, str]


@cache
def place() -> Place:
    """The engine of this process, with a table of three rows and a canary."""
    scratch = tempfile.TemporaryDirectory(prefix="sql-")
    folder = Path(scratch.name)
    names = {"canary": str(folder / "canary.csv"), "out": str(folder / "out.csv")}
    Path(names["canary"]).write_text(f"a\n{CANARY}\n")
    database = open_embedded(folder / "clickhouse")
    database.command("CREATE TABLE kept (n UInt64) ENGINE = MergeTree ORDER BY n")
    database.command("INSERT INTO kept VALUES (1), (2), (3)")
    reader = database.reader(LIMITS_HERE)
    atexit.register(scratch.cleanup)
    atexit.register(database.close)
    atexit.register(reader.close)
    return Place(folder, database, reader, outward_functions(reader), names)


def statement(random: Random, names: dict[str, str]) -> str:
    """Put a statement together, valid more often than not, and disguise it."""
    text = skeleton(random).format(**names)
    if random.random() < 0.5:
        text = "".join(random.choice(SPACES) if one == " " and random.random() < 0.5 else one for one in text)
    if random.random() < 0.2:
        text = random.choice((str.lower, str.upper))(text)
    for _ in range(random.choice((0, 0, 1, 2))):
        text = mutated(random, text)
    return text


def skeleton(random: Random) -> str:
    """A statement with names in braces for the canary and for the file that must not be written."""
    match random.randrange(4):
        case 0:
            return random.choice(BEFORE) + random.choice(STATEMENTS)
        case 1:
            return braced(random.choice(READING)) + " " + random.choice(CLAUSES)
        case _:
            text = random.choice(SHAPES)
            text = text.replace("{source}", random.choice(SOURCES))
            text = text.replace("{expression}", random.choice(EXPRESSIONS))
            return text if random.random() < 0.7 else text + " " + random.choice(CLAUSES)


def braced(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def mutated(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    match random.randrange(3):
        case 0:
            return text[:at] + random.choice(GLUE) + text[at:]
        case 1:
            return text[:at] + text[at + random.randrange(1, 6) :]
        case _:
            other = random.randrange(len(text) + 1)
            return text[:at] + text[other : other + random.randrange(20)] + text[at:]


def admitted(random: Random) -> None:
    """Run what admission lets through; then everything is as it was."""
    here = place()
    before = state(here)
    ran = []
    for _ in range(STATEMENTS_MAX):
        text = statement(random, here.names)
        parameters = {"name": "x", "d": "default", "t": here.names["canary"], "x": "kept"}
        try:
            admission = admit(text, here.outward)
            answer = here.reader.raw_query(admission.sql, parameters, random.choice(FORMATS))
        except (RefusedError, DatabaseError) as error:
            answer = str(error).encode()
        ran.append(text)
        assert CANARY.encode() not in answer.replace(here.names["canary"].encode(), b""), text
    assert state(here) == before, ran


def state(here: Place) -> dict[str, Any]:
    """All that no statement may change: files, tables, rows, settings of the connection, queries at work."""
    files = {path.name: path.stat().st_size for path in here.folder.iterdir() if path.is_file()}
    of_reader = ("readonly", *LIMITS_HERE)
    settings = here.reader.query("SELECT name, value FROM system.settings ORDER BY name")
    return {
        "files": files,
        "tables": here.database.query("SELECT database, name FROM system.tables WHERE database = 'tapehead'"),
        "rows": here.database.query("SELECT n FROM kept ORDER BY n"),
        "settings": [row for row in settings if row[0] in of_reader],
        "processes": len(here.database.query("SELECT query_id FROM system.processes")),
        "database": here.reader.query("SELECT currentDatabase()"),
        "mutations": here.database.query("SELECT count() FROM system.mutations"),
    }
