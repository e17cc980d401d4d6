"""The state of the queue as figures for Prometheus, from the last look of the watch."""

from __future__ import annotations

from postillon.queue.alerts import Kind
from postillon.server.metrics import Gauge
from postillon.server.watch import Seen

DEPTH = (
    "Recipients in the queue: waiting for their time, in line for a destination, in hand,"
    " held, or ended with a report owed."
)


def queue_gauges(seen: Seen | None, now: int) -> list[Gauge]:
    """seen None: no look yet, nothing is known. now: ms."""
    if seen is None:
        return []
    depth, figures = seen.depth, seen.figures
    alerts = dict.fromkeys((_label(kind) for kind in Kind), 0.0)
    for alert in seen.active:
        alerts[_label(alert.kind)] += 1
    states: dict[str, float] = {
        "waiting": depth.waiting - depth.in_line,
        "in_line": depth.in_line,
        "in_hand": depth.in_hand,
        "held": depth.held,
        "ended": depth.owed,
    }
    lanes: dict[str, float] = {
        lane.name.lower(): found.recipients for lane, found in depth.lanes.items()
    }
    due: dict[str, float] = {lane.name.lower(): found.due for lane, found in depth.lanes.items()}
    oldest = {
        lane.name.lower(): 0.0 if found.oldest is None else (now - found.oldest) / 1000
        for lane, found in depth.lanes.items()
    }
    return [
        Gauge("queue_messages", "Messages in the queue.", {"": depth.messages}),
        Gauge("queue_recipients", DEPTH, states, "state"),
        Gauge("queue_lane_recipients", "Recipients that wait, by lane.", lanes, "lane"),
        Gauge("queue_lane_due", "Recipients that may be tried now, by lane.", due, "lane"),
        Gauge("queue_oldest_seconds", "Age of the oldest waiting mail, by lane.", oldest, "lane"),
        Gauge("queue_late_recipients", "Waiting for longer than [alerts] late.", {"": figures.late}),
        Gauge("queue_isolated_messages", "Messages isolated after crashes.", {"": depth.isolated}),
        Gauge("queue_destinations_down", "Destinations that do not answer.", {"": seen.down}),
        Gauge("alerts", "Alerts that go on, by kind.", alerts, "kind"),
        Gauge("disk_free_octets", "Free on the disk of the data folder.", {"": figures.disk_free}),
        Gauge("queue_figures_age_seconds", "Since these figures of the queue were measured.",
              {"": max(0, now - figures.at) / 1000}),
    ]  # fmt: skip


def _label(kind: Kind) -> str:
    return kind.value.replace(" ", "_")
