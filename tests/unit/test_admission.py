"""What SQL is admitted."""

import pytest

from recorder.admission import QUERY_CHARACTERS_MAX, RefusedError, admit

OUTWARD = frozenset(("file", "s3", "merge", "numbers", "values", "executable", "eval", "aiEmbed"))

READING = [
    "select 1",
    "SELECT 1 ;",
    "/* into outfile */ select 1 -- settings readonly = 0",
    "select '; drop table bbo', \"a\"\"b\", `c``d`, 'it''s', 'back\\'slash'",
    "with x as (select 1) select * from x",
    "(select 1) union all (select 2)",
    "select * from numbers(3)",
    "select * from system.settings",
    "select replace('a', 'b', 'c'), airport from t",
    'select 1 as "into"',
    "select {name:String}, x::Int8, arr[1], -1, a ? b : c",
    "show create table bbo",
    "show tables",
    "describe table bbo",
    "desc bbo",
    "exists table bbo",
    "explain indexes = 1 select 1",
]

REFUSED = [
    "",
    " ; ",
    "-- only a comment",
    "insert into bbo values (1)",
    "create table x (a Int8) engine = Memory",
    "drop table bbo",
    "system flush logs",
    "kill query where 1",
    "set readonly = 0",
    "use default",
    "select 1; select 2",
    "select 1; drop table bbo",
    "select 1 into outfile '/tmp/x'",
    "select 1 InTo/**/OUTFILE '/tmp/x'",
    "with x as (select 1) insert into bbo select * from x",
    "select 1 settings readonly = 0",
    "select 1 parallel with drop table bbo",
    "select * from file('/etc/passwd')",
    "select * from FILE ('/etc/passwd')",
    "select * from `file`('/etc/passwd')",
    "select * from \"file\"/**/('/etc/passwd')",
    "select file('/etc/passwd')",
    "select * apply file from (select '/etc/passwd')",
    "select * from s3('http://x')",
    "select * from merge('default', '.*')",
    "select * from executable('sh', 'TSV', 'x String')",
    "select * from eval('drop table bbo')",
    "select aiEmbed('x')",
    "select sleep(3)",
    "select * from default.x",
    "select * from `default`.`/etc/passwd`",
    "show tables from default",
    "desc file('/etc/passwd')",
    "explain select * from file('/etc/passwd')",
    "select $x$ into outfile $x$",
    "select 1 # comment\n into outfile 'x'",
    "select \u2018a\u2019",
    "select 'unclosed",
    "select `fi\\x6ce`('/etc/passwd')",
    "select 1\0",
    "select " + "1," * QUERY_CHARACTERS_MAX,
]


@pytest.mark.parametrize("sql", READING)
def test_reading_is_admitted(sql: str) -> None:
    assert admit(sql, OUTWARD).sql.strip()


@pytest.mark.parametrize("sql", REFUSED, ids=lambda sql: sql[:40])
def test_everything_else_is_refused(sql: str) -> None:
    with pytest.raises(RefusedError):
        admit(sql, OUTWARD)


def test_format_and_closing_semicolon() -> None:
    admission = admit("select 1 format JSON ; -- done", OUTWARD)
    assert (admission.sql, admission.format) == ("select 1", "JSON")
    assert admit("select format('{}', 1)", OUTWARD).format == ""


def test_refusal_says_what_and_what_to_do() -> None:
    with pytest.raises(
        RefusedError,
        match=r"SETTINGS is not admitted: a recording is only read: put a column .* `backquotes`",
    ):
        admit("select settings from t", OUTWARD)
