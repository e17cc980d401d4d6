"""What a page of ours needs to know of a request, and what it answers, whatever library carries it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """method: in capitals. path: decoded. query: names in lower case, the first value of each."""

    method: str
    path: str
    query: Mapping[str, str]
    host: str  # of the Host field, without port, in lower case
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Page = Callable[[Request], Awaitable[Response]]
