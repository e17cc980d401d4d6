"""The tables of one evening, and their place in docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.imap.report import Results, missing, put_between, table

BEGIN = "<!-- python -m benchmarks.jmap --write-docs writes from here -->"
END = "<!-- benchmarks.jmap ends here -->"
# Figure, heading, digits, whether to show how many times ours it is.
TABLES = (
    ("rate", "Requests a second, four connections", 1, True),
    ("cpu", "CPU of all the server's processes for a request (last row: for a delivery), ms", 2, True),
    ("p50", "What a client with one connection waits, median, ms", 2, True),
    ("p99", "The same, 99th percentile, ms", 2, True),
)  # fmt: skip


def tables(results: Results) -> str:
    parts = [_about(results)]
    for figure, heading, digits, compared in TABLES:
        if rows := table(results, figure, digits, compared):
            parts.append(f"**{heading}**\n\n{rows}")
    return "\n\n".join([*parts, *missing(results)])


def _about(results: Results) -> str:
    noise = (
        "**Other programs were running meanwhile: rates and waiting times are those of a noisy"
        " machine; CPU is firmer.**"
        if results.busy
        else "Nothing else was running but the client, on the same cores."
    )
    lines = [
        f"Taken {results.taken_at}, {results.machine}; messages of"
        f" {results.size / max(results.messages, 1) / 1024:.1f} KB, medians, the servers taking turns."
        f" {noise} In brackets: how many times Postillon's it is.",
        "",
        "| Server | Version | Settings |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {title} | {version} | {said} |" for _, title, version, said in results.servers]
    return "\n".join(lines)


def write_docs(results: Results, docs: Path) -> None:
    results.save(docs / "figures" / "jmap.json")
    put_between(docs / "performance.md", BEGIN, END, tables(results))
