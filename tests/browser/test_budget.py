"""What the mail view costs a browser that comes for the first time."""

from __future__ import annotations

import re

import pytest

from support.browser import BUILT

BUDGET = 200_000  # octets of JavaScript for reading mail, compressed; the editor is not among it


@pytest.mark.skipif(not (BUILT / "index.html").exists(), reason="the web client is not built")
def test_reading_mail_needs_little_script() -> None:
    page = (BUILT / "index.html").read_text()
    wanted = set(re.findall(r'(?:src|href)="/(assets/[^"]+\.js)"', page))
    assert wanted
    for name in list(wanted):  # what a file imports at once, as it stands in built code
        text = (BUILT / name).read_text()
        imported = re.findall(r'(?:from|import)\s*"\./([^"]+\.js)"', text)
        wanted |= {f"assets/{found}" for found in imported}
    languages = [
        path for path in (BUILT / "assets").glob("*.js.gz") if path.name[:3] in ("de-", "fr-")
    ]
    size = sum((BUILT / f"{name}.gz").stat().st_size for name in wanted)
    assert size + max(path.stat().st_size for path in languages) < BUDGET
    assert not any("squire" in (BUILT / name).read_text() for name in wanted), (
        "the editor is on demand"
    )
