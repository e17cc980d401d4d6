"""Prints the table of docs/queue.md: `python -m tests.simulation.table` (about two minutes)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.measure import MANY, OUTAGES, Row, computed, many, one_each
from tests.simulation.others import MODELS

OURS = "Postillon"


def duration(seconds: float) -> str:
    """As people read it: "40 s", "7.5 min", "3.2 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5_940 else f"{seconds / 3_600:.1f} h"


def outage(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds < 3_600 else f"{seconds // 3_600} h"


def ours() -> Iterator[str]:
    """The measured part."""
    yield (
        "| Outage | 1 message: extra wait | tries in vain | 1,000: extra wait, mean | last"
        " | tries in vain | connections made |"
    )
    yield "| --- | --: | --: | --: | --: | --: | --: |"
    for length in OUTAGES:
        one = one_each(length)
        more = many(length, one.wait)
        yield (
            f"| {outage(length)} | {one.wait:.0f} s | {one.missed:.1f} | {more.wait:.0f} s"
            f" | {more.last:.0f} s | {more.missed:.0f} | {more.made:.0f} |"
        )


def others(messages: int) -> Iterator[str]:
    """The computed part: mean extra wait and tries in vain of each server."""
    yield f"| Outage, {messages:,} message{'s' if messages > 1 else ''} | {' | '.join(MODELS)} |"
    yield "| --- |" + " --: |" * len(MODELS)
    for length in OUTAGES:
        cells = [_cell(computed(model, length, messages), messages) for model in MODELS.values()]
        yield f"| {outage(length)} | {' | '.join(cells)} |"


def _cell(row: Row, messages: int) -> str:
    if row.lost >= messages:
        return "given up"
    lost = f", {row.lost:,} given up" if row.lost else ""
    return f"{duration(row.wait)}, {row.missed:,.0f}{lost}"


def main() -> None:
    for part in (ours(), others(1), others(MANY)):
        for line in part:
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
