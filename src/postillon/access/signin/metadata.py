"""What clients find out by themselves: RFC 8414 and RFC 9728."""

from __future__ import annotations

from aiohttp import web

from postillon.access.authority import origin
from postillon.access.signin.provider import ANYWHERE, Provider, answer
from postillon.access.signin.words import LANGUAGES
from postillon.directory.scopes import OFFERED

CODE, REFRESH = "authorization_code", "refresh_token"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
GRANTS = (CODE, REFRESH, DEVICE)


class Metadata:
    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def server(self, request: web.Request) -> web.Response:
        """Also under the name that OpenID gave it, where some look only; we know no id_token."""
        here = origin(request)
        found: dict[str, object] = {
            "issuer": here,
            "authorization_endpoint": f"{here}/oauth/authorize",
            "token_endpoint": f"{here}/oauth/token",
            "revocation_endpoint": f"{here}/oauth/revoke",
            "device_authorization_endpoint": f"{here}/oauth/device_authorization",
            "scopes_supported": list(OFFERED),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": list(GRANTS),
            "token_endpoint_auth_methods_supported": ["none"],
            "revocation_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "ui_locales_supported": list(LANGUAGES),
        }
        if self._provider.config.registration:
            found["registration_endpoint"] = f"{here}/oauth/register"
        return answer(found, headers=ANYWHERE)

    async def resource(self, request: web.Request) -> web.Response:
        """RFC 9728: of the whole server, or of the path that follows the well-known one."""
        here = origin(request)
        path = request.match_info.get("path", "")
        return answer(
            {
                "resource": f"{here}/{path}" if path else here,
                "resource_name": self._provider.name,
                "authorization_servers": [here],
                "scopes_supported": list(OFFERED),
                "bearer_methods_supported": ["header"],
            },
            headers=ANYWHERE,
        )
