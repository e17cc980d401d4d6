"""The files of the web client as `packaging/webmail.py` has built them, with their compressed forms."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

BUILT = Path(__file__).with_name("built")
ENCODINGS = ("br", "gzip")  # the best first
SUFFIXES = {"br": ".br", "gzip": ".gz"}
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


_INLINE = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True, slots=True)
class File:
    """etag: of the uncompressed content, in its quotes; a compressed form has its own beside it."""

    media_type: str
    body: bytes
    etag: str
    hashed: bool  # its name changes with its content: it may be kept for ever
    compressed: Mapping[str, bytes] = field(default_factory=dict)
    scripts: tuple[str, ...] = ()  # of a page: what its policy calls those that stand in it

    def form(self, accepted: str) -> tuple[str, bytes]:
        """The encoding and octets for an Accept-Encoding field; "" for the plain ones."""
        wanted = _accepted(accepted)
        for encoding in ENCODINGS:
            if encoding in self.compressed and encoding in wanted:
                return encoding, self.compressed[encoding]
        return "", self.body


def read_files(folder: Path = BUILT) -> dict[str, File]:
    """By path as it stands in the URL, without the first slash. Empty where nothing was built."""
    found: dict[str, File] = {}
    if not (folder / "index.html").exists():
        return found
    for path in sorted(folder.rglob("*")):
        media_type = TYPES.get(path.suffix)
        if media_type is None or not path.is_file():
            continue
        body = path.read_bytes()
        forms = {
            encoding: form.read_bytes()
            for encoding, suffix in SUFFIXES.items()
            if (form := path.with_name(path.name + suffix)).exists()
        }
        name = path.relative_to(folder).as_posix()
        found[name] = File(
            media_type,
            body,
            f'"{hashlib.sha256(body).hexdigest()[:24]}"',
            name.startswith("assets/"),
            {encoding: form for encoding, form in forms.items() if len(form) < len(body)},
            _scripts(body) if path.suffix == ".html" else (),
        )
    return found


def _scripts(page: bytes) -> tuple[str, ...]:
    """The hash sources of its inline scripts (CSP level 3 section 2.3.1)."""
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(page))
    return tuple(f"'sha256-{b64encode(digest).decode()}'" for digest in digests)


def _accepted(text: str) -> frozenset[str]:
    """RFC 9110 section 12.5.3, as far as it matters here: what is named and not refused by q=0."""
    found: set[str] = set()
    for item in text.lower().split(","):
        name, _, rest = item.strip().partition(";")
        weight = rest.replace(" ", "").removeprefix("q=").rstrip("0")
        if weight not in ("0.", "") or not rest:
            found.add(name.strip())
    return frozenset(found)
