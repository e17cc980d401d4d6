"""The tables of the IMAP benchmark, and the mail it reads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.imap.mail import SOME, Writer
from benchmarks.imap.report import BEGIN, END, Results, tables, write_docs
from postillon.mail.mime import scan


def results() -> Results:
    made = Results("two cores", "today", 100, 300_000, busy=True)
    made.servers = [("postillon", "Postillon", "1", "so"), ("other", "Other", "2", "thus")]
    made.scenarios = [("select", "SELECT"), ("idle", "Waiting")]
    for ms in (4.0, 2.0, 9.0):
        made.add("select", "postillon", {"ms": ms, "cpu": 1.0})
    made.add("select", "other", {"ms": 8.0, "cpu": 3.0})
    made.add("idle", "postillon", {"kb": 10.0})
    made.failures["Other, Waiting"] = "it fell asleep"
    return made


def test_tables_show_medians_and_how_many_times_ours_the_others_are() -> None:
    text = tables(results())
    assert "| SELECT | 4.0 | 8.0 (2.0) |" in text
    assert "| SELECT | 1.0 | 3.0 (3.0) |" in text
    assert "| Waiting | 10.0 | – |" in text
    assert "* Other, Waiting: it fell asleep" in text
    assert "noisy machine" in text


def test_the_tables_go_between_their_marks(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_docs(results(), tmp_path)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text
    assert (tmp_path / "figures" / "imap.json").exists()


def test_the_mail_is_the_same_at_every_run_and_of_many_shapes() -> None:
    first, second = (list(Writer().messages(120)) for _ in range(2))
    assert first == second
    kinds = {scan(message).structure.subtype for message in first}
    assert kinds == {b"plain", b"alternative", b"mixed"}
    assert any(scan(message).digest.references for message in first)
    assert sum(SOME.encode() in scan(message).digest.subject for message in first) >= 2
