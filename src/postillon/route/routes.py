"""What a domain's mail waits for: the domain itself, or a server an administrator has fixed."""

from __future__ import annotations

from postillon.route.config import RouteConfig
from postillon.route.hop import Route, parse_next_hop, parse_route


class Routes:
    """The configured routes and the smart host."""

    def __init__(self, config: RouteConfig) -> None:
        self._smarthost = str(parse_next_hop(config.smarthost)) if config.smarthost else ""
        routes = [parse_route(text) for text in config.routes]
        self._exact = {route.pattern: route for route in routes}
        # The longest pattern first: it is the one that says most.
        self._patterns = sorted(
            (route for route in routes if route.pattern.startswith(".")),
            key=lambda route: -len(route.pattern),
        )

    def route(self, domain: str) -> Route | None:
        """The route of a domain: an exact one before the longest pattern; None where there is none."""
        exact = self._exact.get(domain)
        if exact is not None or not self._patterns:
            return exact
        return next((route for route in self._patterns if route.matches(domain)), None)

    def destination(self, domain: str) -> str:
        """A domain for DNS to decide, or the spelling of a fixed next hop."""
        route = self.route(domain)
        if route is not None:
            return domain if route.hop is None else str(route.hop)
        return self._smarthost or domain
