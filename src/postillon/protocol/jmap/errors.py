"""What JMAP answers when it does not do what was asked (RFC 8620 sections 3.6 and 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

URN = "urn:ietf:params:jmap:error:"


class RequestError(Exception):
    """The whole request is refused: a problem document over HTTP (section 3.6.1).

    kind: notJSON, notRequest, limit or unknownCapability. limit: which one was exceeded.
    """

    def __init__(
        self, kind: str, detail: str, *, status: int = 400, limit: str | None = None
    ) -> None:
        super().__init__(detail)
        self.kind, self.detail, self.status, self.limit = kind, detail, status, limit

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "type": f"{URN}{self.kind}",
            "status": self.status,
            "detail": self.detail,
        }
        return found if self.limit is None else {**found, "limit": self.limit}


class MethodError(Exception):
    """One call is refused, and the others go on (section 3.6.2)."""

    def __init__(self, kind: str, description: str = "", **more: object) -> None:
        super().__init__(f"{kind}: {description}" if description else kind)
        self.kind, self.description, self.more = kind, description, more

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.kind, **self.more}
        return {**found, "description": self.description} if self.description else found


class SetError(Exception):
    """One object of a /set, /copy or /import is refused, and the others go on (section 5.3)."""

    def __init__(
        self,
        kind: str,
        description: str = "",
        *,
        properties: Sequence[str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(f"{kind}: {description}" if description else kind)
        self.kind, self.description, self.properties, self.more = (
            kind, description, properties, more,
        )  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"type": self.kind, **self.more}
        if self.description:
            found["description"] = self.description
        if self.properties is not None:
            found["properties"] = list(self.properties)
        return found


def invalid_arguments(description: str, arguments: Sequence[str] = ()) -> MethodError:
    """arguments: the names of those that are wrong."""
    return MethodError("invalidArguments", description, arguments=list(arguments))


def invalid_properties(description: str, *properties: str) -> SetError:
    return SetError("invalidProperties", description, properties=properties)
