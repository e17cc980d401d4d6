"""The addresses at which clients ask for their set-up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime

from postillon.access.autoconfig import apple, autodiscover, mozilla
from postillon.access.web import Page, Request, Response
from postillon.clock import Clock, system_clock
from postillon.directory.directory import Directory
from postillon.log import SILENT, Log
from postillon.mail.address import AddressError, parse_address
from postillon.mail.services import Description

XML = "text/xml; charset=utf-8"
PROFILE = "application/x-apple-aspen-config"
NOT_FOUND = Response(404, b"There is no such page.\n")
NO_DOMAIN = Response(404, b"This server has no mail for that domain.\n")

# By their path in lower case: Outlook and others write them in any.
MOZILLA = ("/.well-known/autoconfig/mail/config-v1.1.xml", "/mail/config-v1.1.xml")
POX = "/autodiscover/autodiscover.xml"
JSON = "/autodiscover/autodiscover.json"  # and whatever follows it: /v1.0/ADDRESS
APPLE = "/apple.mobileconfig"


class AutoconfigPages:
    """sign: makes a signed message of a profile; raises OSError or ValueError when it cannot.

    Nobody is told which addresses exist: every address of a domain of ours gets the same answer.
    """

    def __init__(
        self,
        description: Description,
        directory: Directory,
        sign: Callable[[bytes], bytes],
        *,
        clock: Clock = system_clock,
        log: Log = SILENT,
    ) -> None:
        self._description = description
        self._directory = directory
        self._sign = sign
        self._clock = clock
        self._log = log

    def find(self, path: str) -> Page | None:
        """The page at a path, if it is one of ours."""
        path = path.lower().rstrip("/")
        if path in MOZILLA:
            return self._mozilla
        if path == POX:
            return self._pox
        if path == JSON or path.startswith(JSON + "/"):
            return self._json
        return self._apple if path == APPLE else None

    async def _mozilla(self, request: Request) -> Response:
        address = request.query.get("emailaddress", "")
        domain = address.rpartition("@")[2] if address else request.host.removeprefix("autoconfig.")
        if not await self._ours(domain):
            return NO_DOMAIN
        return Response(200, mozilla.config(self._description, domain.lower()), XML)

    async def _pox(self, request: Request) -> Response:
        try:
            address = autodiscover.address_of(request.body)
            if not await self._ours(address.rpartition("@")[2]):
                raise autodiscover.Unanswerable(*autodiscover.NO_PROVIDER)
        except autodiscover.Unanswerable as wrong:
            at = datetime.fromtimestamp(self._clock() / 1000, UTC).strftime("%H:%M:%S")
            return Response(200, autodiscover.error(wrong.code, wrong.text, at), XML)
        return Response(200, autodiscover.response(self._description, address), XML)

    async def _json(self, request: Request) -> Response:
        status, document = autodiscover.json_answer(self._description.hostname, request.query)
        return Response(status, json.dumps(document).encode(), "application/json")

    async def _apple(self, request: Request) -> Response:
        address = request.query.get("email") or request.query.get("emailaddress") or ""
        try:
            parse_address(address)
        except AddressError:
            return Response(400, b"Ask with ?email= and an address.\n")
        if not await self._ours(address.rpartition("@")[2]):
            return NO_DOMAIN
        profile = apple.profile(self._description, address)
        if profile is None:
            return NOT_FOUND
        try:
            profile = self._sign(profile)
        except (OSError, ValueError) as error:  # a device takes it all the same, with a warning
            self._log.warning("profile_not_signed", error=str(error))
        headers = {"Content-Disposition": 'attachment; filename="mail.mobileconfig"'}
        return Response(200, profile, PROFILE, headers)

    async def _ours(self, domain: str) -> bool:
        found = await self._directory.domain(domain)
        return found is not None and found.enabled
