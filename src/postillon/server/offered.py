"""What clients can use, read off the listeners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postillon.access.config import AutoconfigConfig, HttpConfig
from postillon.access.jmap.session import SESSION
from postillon.mail.services import Description, Service, Use, described
from postillon.server.sections import ListenerConfig, ListenerProtocol, TlsMode

HTTPS_PORT, HTTP_PORT = 443, 80
_USES: Mapping[ListenerProtocol, Use] = {
    ListenerProtocol.IMAP: Use.IMAP,
    ListenerProtocol.IMAPS: Use.IMAP,
    ListenerProtocol.POP3: Use.POP3,
    ListenerProtocol.POP3S: Use.POP3,
    ListenerProtocol.SUBMISSION: Use.SUBMISSION,
    ListenerProtocol.SUBMISSIONS: Use.SUBMISSION,
}


def offered(
    listeners: Sequence[ListenerConfig], hostname: str, config: AutoconfigConfig
) -> Description:
    """What is served with TLS, under the name that clients are to connect to."""
    host = config.hostname or hostname
    services = [
        Service(use, host, listener.effective_port, listener.mode is TlsMode.IMPLICIT)
        for listener in listeners
        if (use := _USES.get(listener.protocol)) is not None and listener.mode is not TlsMode.NONE
    ]
    web = next(
        (item.effective_port for item in listeners if item.protocol is ListenerProtocol.HTTPS), 0
    )
    return described(host, config.name, services, web)


def jmap_session(
    listeners: Sequence[ListenerConfig], hostname: str, config: AutoconfigConfig, http: HttpConfig
) -> str:
    """The URL of the JMAP session as clients reach it; "" where nothing is served over HTTP.

    Behind a trusted proxy that is the proxy's own, which has TLS at the usual port.
    """
    host = config.hostname or hostname
    ports = {item.protocol: item.effective_port for item in reversed(listeners)}
    if (port := ports.get(ListenerProtocol.HTTPS)) is not None:
        return f"https://{host}{'' if port == HTTPS_PORT else f':{port}'}{SESSION}"
    if (port := ports.get(ListenerProtocol.HTTP)) is None:
        return ""
    if http.trusted_proxies:
        return f"https://{host}{SESSION}"
    return f"http://{host}{'' if port == HTTP_PORT else f':{port}'}{SESSION}"
