"""Running a request: its calls one after the other, each with what came before (RFC 8620 section 3)."""

from __future__ import annotations

from collections.abc import Mapping

from postillon.access.authority import Identity
from postillon.access.jmap.context import Context, Method, Services
from postillon.access.jmap.registry import METHODS
from postillon.account.errors import (
    AccountError,
    AccountNotFound,
    MailboxNotFound,
    NotAllowed,
    OwnersRights,
)
from postillon.directory.scopes import MAIL, SEND
from postillon.meter import SILENT_METER, Meter
from postillon.protocol.jmap import references
from postillon.protocol.jmap.errors import MethodError
from postillon.protocol.jmap.request import Call, Request
from postillon.store.operation import StoreError, StoreFull, StoreStopped

SUBMISSION = "urn:ietf:params:jmap:submission"
EITHER = frozenset({MAIL, SEND})


def _scopes(name: str, capability: str) -> frozenset[str]:
    """What a token must have been made for, one of these."""
    if name == "EmailSubmission/set":
        return frozenset({SEND})
    if capability == SUBMISSION or name == "Core/echo" or name.startswith("PushSubscription/"):
        return EITHER
    return frozenset({MAIL})


class Api:
    """Runs requests for one worker. methods: by name, with the capability of each."""

    def __init__(
        self,
        services: Services,
        *,
        methods: Mapping[str, tuple[str, Method]] = METHODS,
        meter: Meter = SILENT_METER,
    ) -> None:
        self.services = services
        self._methods = methods
        self._meter = meter

    async def run(self, request: Request, identity: Identity) -> tuple[list[Call], Context]:
        """The responses in order. A call that fails is answered with an error; the next one runs."""
        context = Context(self.services, identity, request.using, dict(request.created_ids or {}))
        for call in request.calls:
            context.call_id = call.call_id
            before = len(context.responses)
            try:
                arguments = references.resolve(call.arguments, context.responses)
                result = await self._method(call.name, context)(context, arguments)
            except MethodError as error:
                answer = Call("error", error.as_json(), call.call_id)
            except Exception as error:
                answer = Call("error", self._unexpected(error, call).as_json(), call.call_id)
            else:
                answer = Call(call.name, result, call.call_id)
            # What a method adds (onSuccessUpdateEmail) comes behind its own response.
            context.responses.insert(before, answer)
        return context.responses, context

    def _method(self, name: str, context: Context) -> Method:
        """Raises MethodError unknownMethod, also where its capability is not used (section 3.3)."""
        found = self._methods.get(name)
        if found is None:
            raise MethodError("unknownMethod")
        capability, method = found
        if capability not in context.using:
            raise MethodError("unknownMethod", f"the request does not use {capability}")
        if not context.identity.scopes & _scopes(name, capability):
            raise MethodError("forbidden", "the token was not made for this")
        return method

    def _unexpected(self, error: Exception, call: Call) -> MethodError:
        if isinstance(error, NotAllowed | OwnersRights):
            return MethodError("forbidden", str(error))
        if isinstance(error, AccountNotFound):
            return MethodError("accountNotFound")
        if isinstance(error, MailboxNotFound):
            return MethodError("invalidArguments", str(error))
        if isinstance(error, StoreFull | StoreStopped):
            return MethodError("serverUnavailable", "the store takes nothing now; try again later")
        if isinstance(error, AccountError):
            return MethodError("forbidden", str(error))
        kind = "store" if isinstance(error, StoreError) else "method"
        self.services.log.error("jmap_failed", method=call.name, kind=kind, error=repr(error))
        self._meter.count("jmap_faults", call.name)
        return MethodError("serverFail", "a fault of this server; it is in its log")
