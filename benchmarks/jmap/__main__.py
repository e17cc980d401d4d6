"""Postillon beside Cyrus over JMAP, in one command. Needs root, for namespaces and users.

    python -m benchmarks.jmap --quick                  # two minutes
    python -m benchmarks.jmap --write-docs             # the whole, into docs/performance.md
    python -m benchmarks.jmap --large --write-docs     # with 500,000 messages as well
    python -m benchmarks.jmap --scenarios page,rare --servers postillon --rounds 5

Every server has the same mail, which came by APPEND, and takes its turn in every scenario; the others
are up meanwhile and have nothing to do. Cyrus comes as packages of the distribution, unpacked into a
cache and never installed. Filled mailboxes stay in the cache too.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.imap.__main__ import common, said  # noqa: E402
from benchmarks.imap.mail import Writer  # noqa: E402
from benchmarks.imap.report import Results  # noqa: E402
from benchmarks.jmap.report import tables, write_docs  # noqa: E402
from benchmarks.jmap.scenarios import SCENARIOS, Bench, Scenario  # noqa: E402
from benchmarks.jmap.servers import Cyrus, Filled, Postillon, PostillonLarge  # noqa: E402
from benchmarks.peers.__main__ import machine  # noqa: E402
from benchmarks.peers.cell import machine_busy  # noqa: E402
from benchmarks.peers.ground import Unavailable, packages, passing_folder, settle_in  # noqa: E402

LARGER = 10  # times as many messages
SERVERS: tuple[type[Filled], ...] = (Postillon, Cyrus, PostillonLarge)
SAMPLE = 1_000  # messages whose size stands for all


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.jmap", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer messages, one round")
    parser.add_argument(
        "--large", action="store_true", help=f"Postillon with {LARGER} times as many, too"
    )
    parser.add_argument("--fresh", action="store_true", help="fill anew what the cache holds")
    return common(parser, [item.key for item in SCENARIOS], [kind.key for kind in SERVERS])


def chosen(given: argparse.Namespace) -> list[Scenario]:
    keys = given.scenarios.split(",") if given.scenarios else None
    return [item for item in SCENARIOS if keys is None or item.key in keys]


def kinds(given: argparse.Namespace) -> list[type[Filled]]:
    keys = given.servers.split(",") if given.servers else None
    return [
        kind
        for kind in SERVERS
        if (kind.key in keys if keys is not None else given.large or kind is not PostillonLarge)
    ]


def opened(given: argparse.Namespace, folder: Path, results: Results) -> Iterator[Filled]:
    """Each filled before the next is."""
    for kind in kinds(given):
        count = given.messages * (LARGER if kind is PostillonLarge else 1)
        begin = time.monotonic()
        try:
            server = kind(folder, given.cache, count)
        except Unavailable as error:
            results.failures[kind.title] = str(error)[-300:]
            continue
        yield server
        try:
            server.open(given.fresh)
        except (Unavailable, OSError, RuntimeError) as error:
            results.failures[kind.title] = str(error)[-300:]
            print(f"{kind.key}: {error}\n{server.words()[-3000:]}", file=sys.stderr, flush=True)
            server.close()
            continue
        title = f"{server.title}, {count:,}"
        results.servers.append((server.key, title, server.version(), server.settings))
        print(f"{title}: there after {time.monotonic() - begin:.0f} s", flush=True)


def run(given: argparse.Namespace, folder: Path) -> Results:
    results = Results(
        machine(), datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"), SAMPLE,
        sum(map(len, Writer().messages(SAMPLE))), machine_busy(),
    )  # fmt: skip
    bench = Bench()
    with ExitStack() as open_:
        servers: list[Filled] = []
        for server in opened(given, folder, results):
            open_.callback(server.close)
            servers.append(server)
        servers = [item for item in servers if item.running]
        for scenario in chosen(given):
            results.scenarios.append((scenario.key, scenario.title))
            for _ in range(given.rounds):
                for server in servers:
                    measure(bench, results, server, scenario)
    results.busy |= machine_busy()
    return results


def measure(bench: Bench, results: Results, server: Filled, scenario: Scenario) -> None:
    where = f"{server.title}, {scenario.title}"
    if where in results.failures:
        return
    try:
        if scenario.restart:
            server.halt()
            server.start(indexed=True)
        figures = scenario.measure(bench, server)
    except (Unavailable, OSError, RuntimeError) as error:
        results.failures[where] = str(error)[-300:]
        print(f"{where}: {error}\n{server.words()[-3000:]}", file=sys.stderr, flush=True)
        server.halt()
        server.start(indexed=True)
    else:
        results.add(scenario.key, server.key, said(scenario.key, server, figures))


def main() -> None:
    given = options()
    fetches = [partial(packages, Cyrus.packages, given.cache)] if Cyrus in kinds(given) else []
    settle_in("benchmarks.jmap", given.folder, fetches)
    with passing_folder("postillon-jmap-", given.folder) as folder:
        results = run(given, folder)
    print(tables(results))
    if given.save:
        results.save(given.save)
    if given.write_docs:
        write_docs(results, ROOT / "docs")


if __name__ == "__main__":
    main()
