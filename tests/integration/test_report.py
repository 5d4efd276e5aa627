"""The page on a recording: one file that asks nobody, the numbers beside it, nothing that a name could do."""

import json
import re
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pytest

from recorder import cli
from recorder.errors import ExitCode
from recorder.folder import DataFolder
from recorder.reporting.page import page
from recorder.reporting.report import numbers, write
from recorder.verify import verify
from tests.support.market import SpoolMaker, make_market

EVIL = "<img src=x onerror=alert(1)>&\"'USDT"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A recording whose connection was lost, loaded."""
    folder = tmp_path / "data"
    maker = SpoolMaker(folder / "spool")
    make_market(maker, 60)
    maker.disconnect("eof", "gone")
    maker.beat(20)
    maker.close()
    return folder


class Tags(HTMLParser):
    """Collects the tags, and that each one is closed."""

    VOID = ("meta", "input", "br")

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Tags:
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    return tags


def test_the_page_and_its_numbers(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["load", "--data", str(data), "--json"]) == ExitCode.OK
    capsys.readouterr()
    out = tmp_path / "page.html"
    assert cli.main(["report", "--data", str(data), "--out", str(out), "--json"]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["is_right"]
    text = out.read_text()
    tags = parsed(text).tags
    assert not [attributes for _, attributes in tags if attributes.keys() & {"src", "href"}]
    assert not re.search(r"https?://", text)
    assert len([1 for tag, attributes in tags if tag == "button" and attributes.get("aria-label")]) == 2
    assert [attributes for tag, attributes in tags if attributes.get("class") == "shade"]
    said = json.loads((tmp_path / "page.json").read_bytes())
    assert cli.main(["verify", str(data), "--json"]) == ExitCode.OK
    verified = json.loads(capsys.readouterr().out)
    (recorder,) = said["recorders"]
    for day, again in zip(recorder["days"], verified["days"], strict=True):
        assert {name: day[name] for name in again} == again
    assert recorder["sources"]["inputs"] == verified["sources"]["inputs"]
    assert recorder["sources"]["inputs"] in text
    assert sum(recorder["rates"]["messages"]) == sum(
        one["messages"] for one in recorder["latency_histograms"]["recv_ts"]
    )
    assert "disconnect" in text


def test_the_commands_that_the_page_names_work(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["load", "--data", str(data), "--json"]) == ExitCode.OK
    values = numbers(DataFolder(data), [verify(data / "spool", None, "r1")], None, [])
    for one in values["commands"]:
        command = shlex.split(one["command"].replace("DIR", str(data)))
        assert command[0] == "tapehead"
        if command[1] == "report":
            continue
        assert cli.main(command[1:]) in (ExitCode.OK, ExitCode.CHECK_FAILED), one
    assert "error" not in capsys.readouterr().out


def test_a_name_cannot_do_anything(tmp_path: Path) -> None:
    maker = SpoolMaker(tmp_path / "spool")
    maker.connect(f"publicTrade.{EVIL}")
    maker.disconnect("eof", EVIL)
    maker.beat(5)
    maker.close()
    values = numbers(DataFolder(tmp_path), [verify(tmp_path / "spool", None, "r1")], None, [EVIL])
    values["recorders"][0]["recorder"] = values["problems"] = EVIL
    values["problems"] = [EVIL]
    text = page(values)
    assert EVIL not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text
    tags = parsed(text).tags
    assert "img" not in {tag for tag, _ in tags}
    assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
    assert EVIL in {attributes.get("data-filter") for tag, attributes in tags if tag == "button"}


def test_a_spool_alone_has_a_page(data: Path, tmp_path: Path) -> None:
    values = numbers(DataFolder(data), [verify(data / "spool", None, "r1")], None, [])
    write(values, tmp_path / "p.html")
    assert json.loads((tmp_path / "p.json").read_bytes())["versions"]["clickhouse"] is None
    parsed((tmp_path / "p.html").read_text())


def test_options_that_cannot_be(data: Path, tmp_path: Path) -> None:
    assert cli.main(["report", "--data", str(data), "--out", str(tmp_path / "p.pdf")]) == ExitCode.USAGE
    assert (
        cli.main(["report", "--data", str(data), "--out", str(tmp_path / "no" / "p.html")]) == ExitCode.USAGE
    )
    assert cli.main(["report", "--data", str(tmp_path / "none")]) == ExitCode.USAGE
