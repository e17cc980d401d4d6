"""The tables of one evening, and their place in docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.imap.report import Results, Wanted, described, kilobytes, laid_out
from benchmarks.page import put_between

BEGIN = "<!-- python -m benchmarks.jmap --write-docs writes from here -->"
END = "<!-- benchmarks.jmap ends here -->"
TABLES: tuple[Wanted, ...] = (
    ("rate", "Requests a second, four connections", 1, True),
    ("cpu", "CPU of all the server's processes for a request (last row: for a delivery), ms", 2, True),
    ("p50", "What a client with one connection waits, median, ms", 2, True),
    ("p99", "The same, 99th percentile, ms", 2, True),
)  # fmt: skip


def tables(results: Results) -> str:
    return laid_out(results, _about(results), TABLES)


def _about(results: Results) -> str:
    noise = (
        "**Other programs were running meanwhile: rates and waiting times are those of a noisy"
        " machine; CPU is firmer.**"
        if results.busy
        else "Nothing else was running but the client, on the same cores."
    )
    return described(results, f"messages of {kilobytes(results)} KB", noise)


def write_docs(results: Results, docs: Path) -> None:
    results.save(docs / "figures" / "jmap.json")
    put_between(docs, BEGIN, END, tables(results))
