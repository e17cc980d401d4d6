"""What stations count in any process is summed up in one place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from postillon.server import metrics

COUNT = """
import sys
from pathlib import Path
from postillon.server import metrics
metrics.prepare(Path(sys.argv[1]))
meter = metrics.PrometheusMeter()
meter.count("accepted", "smtp")
meter.count("accepted", "smtp", 2)
meter.count("plain")
meter.observe("commit", 0.003)
for n in range(200):
    meter.count("flood", f"peer {n}")
"""
SHOW = """
import sys
from pathlib import Path
from postillon.server import metrics
metrics.prepare(Path(sys.argv[1]))
sys.stdout.buffer.write(metrics.exposition())
"""


def python(code: str, folder: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", code, str(folder)], check=True, capture_output=True, text=True
    ).stdout


def test_the_processes_are_summed_and_labels_are_bounded(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    metrics.wipe(folder)
    python(COUNT, folder)
    python(COUNT, folder)
    lines = python(SHOW, folder).splitlines()
    assert 'postillon_accepted_total{kind="smtp"} 6.0' in lines
    assert 'postillon_plain_total{kind=""} 2.0' in lines
    assert 'postillon_commit_seconds_bucket{le="0.005"} 2.0' in lines
    assert len([line for line in lines if line.startswith("postillon_flood_total{")]) == 65
    assert 'postillon_flood_total{kind="other"} 272.0' in lines


def test_a_new_start_begins_from_zero(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    metrics.wipe(folder)
    (folder / "counter_1.db").write_bytes(b"old")
    metrics.wipe(folder)
    assert os.listdir(folder) == []


def test_the_library_is_not_loaded_before_it_is_prepared() -> None:
    code = "import sys, postillon.server.metrics; assert 'prometheus_client' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
