"""The installed gateways, by name, by method, and by the address that they call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from domain.gateways import Gateway, RefundingGateway
from domain.methods import GATEWAY_OF, GatewayName, PaymentMethod


class Gateways(Mapping[GatewayName, Gateway]):
    """
    `routes` names the gateways that can take a method, in the order of preference.

    A method without a route has only its own gateway. The choice is made before anything is sent.
    """

    def __init__(
        self,
        gateways: Iterable[Gateway],
        routes: Mapping[PaymentMethod, Sequence[GatewayName]] | None = None,
    ) -> None:
        self._gateways = {gateway.name: gateway for gateway in gateways}
        self._routes = dict(routes or {})

    def __getitem__(self, name: GatewayName) -> Gateway:
        return self._gateways[name]

    def __iter__(self) -> Iterator[GatewayName]:
        return iter(self._gateways)

    def __len__(self) -> int:
        return len(self._gateways)

    def by_path(self, path: str) -> Gateway | None:
        """Return the gateway that calls `/webhooks/<path>`."""
        return next((gateway for gateway in self._gateways.values() if path in gateway.paths), None)

    def for_method(self, method: PaymentMethod) -> Gateway | None:
        """
        Return the gateway that takes the method now; None for cash, and where none is installed.

        If no gateway of the route is ready, the first one is returned: it raises the refusal.
        """
        own = GATEWAY_OF[method]
        route = self._routes.get(method, () if own is None else (own,))
        installed = [self._gateways[name] for name in route if name in self._gateways]
        first = installed[0] if installed else None
        return next((gateway for gateway in installed if gateway.ready()), first)

    def refunding(self, name: GatewayName | None) -> RefundingGateway | None:
        """Return the gateway if it is installed and can refund."""
        gateway = None if name is None else self._gateways.get(name)
        return gateway if isinstance(gateway, RefundingGateway) else None

    def alternatives(self, method: PaymentMethod) -> tuple[PaymentMethod, ...]:
        """Return the other methods that work now. Cash always works and comes first."""
        return tuple(other for other in PaymentMethod if other is not method and self._works(other))

    def _works(self, method: PaymentMethod) -> bool:
        if GATEWAY_OF[method] is None:
            return True
        gateway = self.for_method(method)
        return gateway is not None and gateway.ready()
