"""The figures for Prometheus: declared in one table, counted in every process, read in one.

prometheus_client keeps the values of several processes in files of one folder and must know that
folder before it is imported. `prepare` therefore comes first in every process, and this module imports
the library only inside functions.
"""

from __future__ import annotations

import asyncio
import atexit
import math
import os
import shutil
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
PREFIX = "postillon"
# Seconds. From a commit on a fast disk to a remote host that takes its time.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300)
OTHER = "other"
NO_LABEL = "kind"  # of an event without labels; it is always empty there
KINDS = ("counter", "histogram")  # of values; each process has a file of each
RESERVED = 512 * 1024  # octets of such a file: 64 labels of every event below, and some to spare
FLUSH_S = 1.0
MAX_LABELS = 64  # different labels of one counter; what comes later is counted as "other"


@dataclass(frozen=True, slots=True)
class Metric:
    help: str
    label: str = ""  # name of the label, "" if it has none


# What operators meet in their dashboards. An event that is missing here is still counted, with its name
# as its own explanation, so that a station may add one without touching this table.
COUNTERS: Mapping[str, Metric] = {
    "connections": Metric("Connections accepted.", "protocol"),
    "connections_refused": Metric("Connections over a limit.", "protocol"),
    "sessions_cut": Metric("Sessions cut because they did not end in time at a stop.", "protocol"),
    "smtp_sessions": Metric("SMTP and LMTP sessions begun.", "service"),
    "smtp_tls": Metric("STARTTLS handshakes done.", "version"),
    "smtp_logins": Metric("Logins tried over SMTP.", "result"),
    "smtp_messages": Metric("Messages accepted over SMTP and LMTP.", "service"),
    "smtp_octets": Metric("Octets of these messages.", "service"),
    "smtp_refused": Metric("Commands and messages refused.", "status"),
    "smtp_errors": Metric("SMTP sessions that ended by a fault of ours.", "service"),
    "imap_connections": Metric("IMAP sessions begun."),
    "imap_logins": Metric("Logins over IMAP."),
    "imap_failed_logins": Metric("Failed logins over IMAP."),
    "imap_faults": Metric("Faults of ours in IMAP sessions."),
    "pop3_connections": Metric("POP3 sessions begun."),
    "pop3_logins": Metric("Logins over POP3."),
    "pop3_failed_logins": Metric("Failed logins over POP3."),
    "pop3_faults": Metric("Faults of ours in POP3 sessions."),
    "http_logins": Metric("People who logged in on a page.", "page"),
    "http_failed_logins": Metric("Failed logins over HTTP."),
    "oauth_tokens": Metric("Access tokens given to clients of OAuth.", "grant"),
    "http_requests": Metric("HTTP requests answered.", "status"),
    "http_faults": Metric("Faults of ours in answering HTTP requests."),
    "jmap_faults": Metric("Faults of ours in calls of JMAP.", "method"),
    "push_messages": Metric("Web Push messages, by what the push service said.", "result"),
    "push_given_up": Metric("Changes that a push service did not take after all tries."),
    "queue_accepted": Metric("Messages accepted: finished at once, or queued.", "state"),
    "queue_tries": Metric("Tries to deliver, by how they ended.", "result"),
    "delivered_local": Metric("Copies placed in mailboxes by the accepting transaction."),
    "connections_opened": Metric("Connections to other servers.", "security"),
    "hosts_failed": Metric("Hosts that could not be reached or refused the session."),
    "reports": Metric("Delivery reports written.", "action"),
    "reports_withheld": Metric("Reports not sent, with the reason in the trace.", "why"),
}
OBSERVATIONS: Mapping[str, Metric] = {
    "smtp_submit": Metric("From the end of content until the message is durable."),
}


def metric_name(event: str) -> str:
    """An event of a station as a name Prometheus accepts."""
    return "".join(char if char.isascii() and char.isalnum() else "_" for char in event.lower())


def prepare(folder: Path) -> None:
    """Tell the library where the processes keep their values. Before its first import."""
    os.environ[FOLDER_VARIABLE] = str(folder)


def reserve(folder: Path) -> None:
    """Give this process's files of values their room on the disk now. Raises OSError if there is none.

    The library maps them into memory, and writing to a page for which a full disk has no room ends
    the process with SIGBUS. An empty file of the right name is one that it goes on with.
    """
    for kind in KINDS:
        fd = os.open(
            folder / f"{kind}_{os.getpid()}.db", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            if hasattr(os, "posix_fallocate"):  # not on macOS
                os.posix_fallocate(fd, 0, RESERVED)
        finally:
            os.close(fd)


def wipe(folder: Path) -> None:
    """Begin anew: the values of a former start are no part of this one. Only the supervisor does it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)


class PrometheusMeter:
    """A `Meter` that counts into this process's files.

    Where a loop runs it counts in memory and writes that out FLUSH_S later, and at the end: a value in
    the files costs more than all else that is done to count. A kill loses the figures of that time.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        from prometheus_client import REGISTRY

        self._registry = registry or REGISTRY
        self._counters: dict[tuple[str, str], Counter] = {}
        self._families: dict[str, Counter] = {}
        self._labels: dict[str, set[str]] = {}
        self._histograms: dict[str, Histogram] = {}
        self._counted: dict[tuple[str, str], int] = {}
        self._observed: dict[str, list[float]] = {}
        self._waiting = False  # somebody will flush
        atexit.register(self.flush)

    def count(self, event: str, label: str = "", n: int = 1) -> None:
        counted, key = self._counted, (event, label)
        counted[key] = counted.get(key, 0) + n
        if not self._waiting:
            self._flush_later()

    def observe(self, what: str, seconds: float) -> None:
        self._observed.setdefault(what, []).append(seconds)
        if not self._waiting:
            self._flush_later()

    def flush(self) -> None:
        """Write out what was counted."""
        self._waiting = False
        counted, self._counted = self._counted, {}
        for (event, label), n in counted.items():
            counter = self._counters.get((event, label)) or self._counter(event, label)
            counter.inc(n)
        observed, self._observed = self._observed, {}
        for what, values in observed.items():
            _observe(self._histograms.get(what) or self._histogram(what), values)

    def _flush_later(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a tool, or another thread
            self.flush()
        else:
            self._waiting = True
            loop.call_later(FLUSH_S, self.flush)

    def _counter(self, event: str, label: str) -> Counter:
        from prometheus_client import Counter

        family = self._families.get(event)
        if family is None:
            metric = COUNTERS.get(event, Metric(event))
            family = self._families[event] = Counter(
                f"{PREFIX}_{metric_name(event)}",
                metric.help,
                (metric.label or NO_LABEL,),
                registry=self._registry,
            )
            self._labels[event] = set()
        known = self._labels[event]
        if label not in known and len(known) >= MAX_LABELS:
            return family.labels(OTHER)
        known.add(label)
        counter = self._counters[event, label] = family.labels(label)
        return counter

    def _histogram(self, what: str) -> Histogram:
        from prometheus_client import Histogram

        metric = OBSERVATIONS.get(what, Metric(what))
        histogram = self._histograms[what] = Histogram(
            f"{PREFIX}_{metric_name(what)}_seconds",
            metric.help,
            registry=self._registry,
            buckets=BUCKETS,
        )
        return histogram


def _observe(histogram: Histogram, values: Sequence[float]) -> None:
    """Many values at once: its own `observe`, but one write for each bucket."""
    bounds = (*BUCKETS, math.inf)
    histogram._sum.inc(sum(values))
    for bucket, n in Counts(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(n)


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that stands for now, known to this process alone. values: by label, "" without one."""

    name: str
    help: str
    values: Mapping[str, float]
    label: str = ""


def exposition(gauges: Iterable[Gauge] = ()) -> bytes:
    """The sums over all processes and the gauges of this one, in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.multiprocess import MultiProcessCollector
    from prometheus_client.registry import Collector

    class Now(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            for gauge in gauges:
                labels = [gauge.label] if gauge.label else []
                family = GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.help, labels=labels)
                for value, number in gauge.values.items():
                    family.add_metric([value] if gauge.label else [], number)
                yield family

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(Now())
    return generate_latest(registry)


def forget_process(pid: int) -> None:
    """A worker died: drop its gauges; its counters stay in the sums."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]
