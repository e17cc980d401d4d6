"""Requests to the API: one connection that is kept, what is refused as an exception."""

from __future__ import annotations

import base64
import http.client
import ssl
from collections.abc import Mapping
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from postillon.server.api.problems import Problem
from postillon.server.api.registry import PREFIX

T = TypeVar("T")
TIMEOUT_S = 60.0
_encode = msgspec.json.Encoder().encode


class ApiError(Exception):
    """The server did not do it. status: of HTTP; problem: what is wrong and what to do."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(f"{problem.detail}; {problem.hint}" if problem.hint else problem.detail)
        self.status, self.problem = status, problem


class Connection:
    """To one server, by a key (`postillon api-key add`) or as an administrator with a password.

    url: such as "https://mail.example.org". context: for a certificate that the system does not trust.
    Not for several threads at once.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        login: str = "",
        password: str = "",
        context: ssl.SSLContext | None = None,
        timeout: float = TIMEOUT_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address such as https://mail.example.org")
        self._prefix = parts.path.rstrip("/") + PREFIX
        self._http: http.client.HTTPConnection
        if parts.scheme == "https":
            self._http = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=context
            )
        else:
            self._http = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        if key:
            self._authorization = f"Bearer {key}"
        else:
            basic = base64.b64encode(f"{login}:{password}".encode()).decode()
            self._authorization = f"Basic {basic}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        result: type[T],  # NoneType where nothing is answered
        *,
        names: Mapping[str, str] | None = None,
        query: Mapping[str, object] | None = None,
        body: object = None,
    ) -> T:
        """One operation. names: what stands in the braces of the path. Raises ApiError or OSError."""
        for name, value in (names or {}).items():
            path = path.replace(f"{{{name}}}", quote(value, safe="@"))
        asked = _query(query or {})
        headers = {"Authorization": self._authorization, "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        content = None if body is None else _encode(body)
        self._http.request(method, f"{self._prefix}{path}{asked}", content, headers)
        answer = self._http.getresponse()
        octets = answer.read()
        if answer.status >= http.client.BAD_REQUEST:
            raise ApiError(answer.status, _problem(answer, octets))
        return msgspec.json.decode(octets or b"null", type=result)


def _query(values: Mapping[str, object]) -> str:
    given = [
        (name, _text(one))
        for name, value in values.items()
        for one in (value if isinstance(value, tuple) else (value,))
        if one not in (None, "")
    ]
    return f"?{urlencode(given)}" if given else ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(msgspec.to_builtins(value))


def _problem(answer: http.client.HTTPResponse, octets: bytes) -> Problem:
    try:
        return msgspec.json.decode(octets, type=Problem)
    except msgspec.MsgspecError:  # something between us and the server has answered
        words = f"{answer.status} {answer.reason}"
        return Problem(title=answer.reason, status=answer.status, detail=words)
