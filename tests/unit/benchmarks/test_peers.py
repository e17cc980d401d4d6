"""The comparison with other servers counts what arrived and compares the right way round."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import backlog
from benchmarks.peers import report
from benchmarks.peers.peer import maildir_copies
from benchmarks.peers.plot import plot
from benchmarks.peers.results import Results, Server
from benchmarks.peers.scenarios import SCENARIOS, Sample
from benchmarks.peers.sink import Conversation, Count

DOCS = Path(__file__).parents[3] / "docs"
TALK = (
    b"EHLO load\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n.\r\n"
    b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"
    b"Subject: DATA\r\n\r\nQUIT\r\n..\r\n.\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"
)


class Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.said = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True


@given(st.sets(st.integers(1, len(TALK) - 1)))
def test_where_the_bytes_are_cut_changes_nothing_of_what_the_sink_counts(cuts: set[int]) -> None:
    count, wire = Count(), Wire()
    conversation = Conversation(count)
    conversation.connection_made(wire)
    ends = [0, *sorted(cuts), len(TALK)]
    for start, end in pairwise(ends):
        conversation.data_received(TALK[start:end])
    assert count.messages == 3
    assert wire.closed
    assert wire.said.count(b"354 ") == 3
    assert wire.said.endswith(b"221 2.0.0 bye\r\n")


def sample(rate: float, cpu: float) -> Sample:
    return Sample(rate, rate, cpu, 2.0, 3.0, 50.0, 1.0, 2.0, 100)


@pytest.fixture
def results() -> Results:
    made = Results("a machine", "today", False, 3.0)
    made.servers = [
        Server("postillon", "Postillon", "1", "sync"),
        Server("other", "Other & Co", "2", "sync"),
    ]
    made.scenarios = [("c20", "20 connections"), ("relay", "relayed")]
    for rate, cpu in ((900, 0.9), (1000, 0.5), (1200, 0.4)):
        made.add("c20", "postillon", sample(rate, cpu))
    made.add("c20", "other", sample(250, 2.0))
    return made


def test_a_ratio_says_how_much_better_postillon_is_by_medians(results: Results) -> None:
    text = report.tables(results)
    assert "| 20 connections | 1,000 | 250 (4.0) |" in text
    assert "| 20 connections | 0.50 | 2.00 (4.0) |" in text
    assert "| relayed | – | – |" in text


def test_figures_of_a_busy_machine_say_so_and_leave_out_what_only_a_quiet_one_shows(
    results: Results,
) -> None:
    heading = "Octets that reached the disk"
    assert heading in report.tables(results)
    results.busy = True
    text = report.tables(results)
    assert "Other programs were running" in text
    assert heading not in text


def test_results_come_back_from_their_file(results: Results, tmp_path: Path) -> None:
    results.save(tmp_path / "peers.json")
    assert Results.load(tmp_path / "peers.json") == results


def test_the_plot_is_svg_with_a_bar_for_each_server_and_figure(results: Results) -> None:
    picture = ElementTree.fromstring(plot(results, "postillon"))
    bars = [item for item in picture.iter() if item.tag.endswith("rect")]
    assert len(bars) == 1 + 2 * 2  # the ground, then servers by figures; no scenario without runs


def test_the_docs_have_a_place_for_what_is_measured(results: Results, tmp_path: Path) -> None:
    page = (DOCS / "performance.md").read_text()
    assert page.index(backlog.BEGIN) < page.index(backlog.END)
    (tmp_path / "performance.md").write_text(page)
    report.write_docs(results, tmp_path)
    once = (tmp_path / "performance.md").read_text()
    report.write_docs(results, tmp_path)
    assert (tmp_path / "performance.md").read_text() == once
    assert "250 (4.0)" in once
    assert (tmp_path / "figures" / "peers.svg").exists()


def test_a_copy_counts_when_it_is_in_new_and_not_before(tmp_path: Path) -> None:
    for name in ("tmp", "new"):
        (tmp_path / "box1" / name).mkdir(parents=True)
    (tmp_path / "box1" / "tmp" / "1").touch()
    (tmp_path / "box2").mkdir()
    assert maildir_copies(tmp_path) == 0
    (tmp_path / "box1" / "tmp" / "1").rename(tmp_path / "box1" / "new" / "1")
    assert maildir_copies(tmp_path) == 1


def test_recipients_of_a_message_are_all_different() -> None:
    for scenario in SCENARIOS:
        for number in (1, 2, 99):
            assert len(set(scenario.envelope(number))) == scenario.recipients
