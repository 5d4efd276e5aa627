"""What SQL is admitted."""

import pytest

from recorder.queries.admission import QUERY_CHARACTERS_MAX, RefusedError, admit

OUTWARD = frozenset(
    "file s3 merge numbers values executable eval aiEmbed format mysql viewExplain view".split()  # noqa: SIM905  # as the engine lists them
)

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
    "show tables from system",
    "select t.set, set.t, `x`.settings, f(1).update from t",
    "select truncate(1.5), (select 1) in numbers(3)",
    "select name from system . `columns`",
    "select {x:Array(String)}[1] ? identifier : 2",
    "select formatRow('CSV', 1), a.format from a",
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
    # A number may end in a dot: what follows is a clause, not a column.
    "select 1. settings readonly = 0",
    "select 1./**/into /**/outfile 'x'",
    "select x.1. settings readonly = 0",
    "select 0x1f. settings readonly = 0",
    "select .5. settings readonly = 0",
    # What is admitted as a function is none without its parenthesis, and others are none with it.
    "select * replace from t",
    "select 1 settings (readonly = 0)",
    "with 1 as x insert (a) values (1)",
    # A function is called by its name alone, too.
    "select arrayMap(file, ['/etc/passwd'])",
    "select arrayMap(`aiEmbed`, ['x'])",
    "select * apply (x -> aiEmbed(x)) from t",
    # Functions that find a table, a dictionary or an expression in a text.
    "select * from format('Values', 'x String', '(file(''/etc/passwd''))')",
    "select * from t, format(CSV, '1')",
    "select hasColumnInTable('default', '/etc/passwd', 'root')",
    "select joinGet('default.x', 'y', 1)",
    "select dictGetString('default.x', 'y', 1)",
    "select naiveBayesClassifier('/model', 'x')",
    "select getServerSetting('path')",
    "select catboostEvaluate('/model', 1)",
    "select * from viewExplain('EXPLAIN', '', (select 1))",
    # Tables that nobody can judge, or that are not of us.
    "select * from {d:Identifier}.{t:Identifier}",
    "select * from { t : identifier }",
    "select * from system.stack_trace",
    'select * from `system`."stack_trace"',
    "select * from System /**/ . /**/ users",
    "select * from system.processes, system.user_query_log",
    "desc system.named_collections",
    "select count() from numbers(3) where 1 in system.zookeeper",
    "exists default.x",
    "select 1 from (select * from default.x)",
    # Statements within statements.
    "explain insert into bbo select * from bbo",
    "explain ast drop table bbo",
    "explain table override mysql('h', 'd', 't', 'u', 'p') partition by x",
    "explain select 1 settings readonly = 0",
    "show tables into outfile 'x'",
    "show create table default.x",
    "(select 1 into outfile 'x')",
    "select (select 1 settings readonly = 0)",
    "select 1 format Values settings output_format_json_quote_64bit_integers = 1",
    "describe (select * from file('x'))",
    "execute as other select 1",
    "backup table bbo to File('x')",
    "from bbo select *",
    "values (1)",
    "explain whatif create index i on bbo (x) type minmax",
    # Comments, and what looks like their end.
    "select 1 /* /* */ into outfile 'x' /* */ */",
    "select 1 --\n into outfile 'x'",
    "select 1 -- \r\n settings readonly = 0",
    "select 1 /* unclosed",
    "select 1 #! \n settings readonly = 0",
    "select 1\u2028settings readonly = 0",
    "select 1 \u2212\u2212 x\nsettings readonly = 0",
    "select \u00a01",
    "select 'a\\' into outfile 'b'",
    'select "a\\" into outfile "b"',
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
    assert admit("select a.format as b", OUTWARD).format == ""


def test_refusal_says_what_and_what_to_do() -> None:
    with pytest.raises(
        RefusedError,
        match=r"SETTINGS is not admitted: a recording is only read: put a column .* `backquotes`",
    ):
        admit("select settings from t", OUTWARD)
