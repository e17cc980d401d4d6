"""All paths of signing in, for the application of a worker."""

from __future__ import annotations

from aiohttp import web

from postillon.access.signin.authorize import AuthorizePages
from postillon.access.signin.metadata import Metadata
from postillon.access.signin.own import OwnSession
from postillon.access.signin.provider import Provider
from postillon.access.signin.settings import Settings
from postillon.access.signin.tokens import TokenEndpoints


def routes(provider: Provider) -> list[web.RouteDef]:
    """To be added to the application. Without OAuth the web client and its settings remain."""
    return [*_own(provider), *(_oauth(provider) if provider.config.enabled else [])]


def _oauth(provider: Provider) -> list[web.RouteDef]:
    pages, tokens, metadata = AuthorizePages(provider), TokenEndpoints(provider), Metadata(provider)
    endpoints = {
        "/oauth/token": tokens.token,
        "/oauth/revoke": tokens.revoke,
        "/oauth/device_authorization": tokens.device,
        "/oauth/register": tokens.register,
    }
    known = "/.well-known"
    return [
        web.get("/oauth/authorize", pages.authorize, allow_head=False),
        web.post("/oauth/authorize", pages.authorize),
        web.get("/oauth/device", pages.device, allow_head=False),
        web.post("/oauth/device", pages.device),
        web.get("/oauth/style.css", pages.style),
        *(web.post(path, handler) for path, handler in endpoints.items()),
        *(web.options(path, tokens.preflight) for path in endpoints),
        web.get(f"{known}/oauth-authorization-server", metadata.server),
        web.get(f"{known}/openid-configuration", metadata.server),
        web.get(f"{known}/oauth-protected-resource", metadata.resource),
        web.get(f"{known}/oauth-protected-resource/{{path:.*}}", metadata.resource),
    ]


def _own(provider: Provider) -> list[web.RouteDef]:
    own, settings = OwnSession(provider), Settings(provider)
    owner = settings.of_owner
    return [
        web.post("/auth/session", own.begin),
        web.get("/auth/session", own.show),
        web.delete("/auth/session", own.end),
        web.post("/auth/session/refresh", own.refresh),
        web.get("/auth/sessions", owner(settings.sessions)),
        web.delete("/auth/sessions", owner(settings.end_sessions)),
        web.delete("/auth/sessions/{id}", owner(settings.end_session)),
        web.get("/auth/app-passwords", owner(settings.app_passwords)),
        web.post("/auth/app-passwords", owner(settings.add_app_password)),
        web.delete("/auth/app-passwords/{id}", owner(settings.remove_app_password)),
        web.post("/auth/password", owner(settings.after_password(settings.password, "old"))),
        web.get("/auth/totp", owner(settings.factor)),
        web.post("/auth/totp", owner(settings.after_password(settings.begin_factor))),
        web.post("/auth/totp/confirm", owner(settings.confirm_factor)),
        web.post("/auth/totp/recovery-codes", owner(settings.after_password(settings.renew_codes))),
        web.delete("/auth/totp", owner(settings.after_password(settings.end_factor))),
    ]
