"""Message content as octets: in memory while it is small, a mapped file when it is large."""

from __future__ import annotations

from mmap import mmap

# Both have `find`, `rfind`, `len` and slices that give bytes; nothing else may be asked of content.
Octets = bytes | mmap
