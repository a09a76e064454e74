"""Which network addresses the hub may connect to on behalf of others: cameras and webhooks come from callers."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence

from aihub.errors import AddressError, ConfigError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class UnresolvedError(AddressError):
    """The name has no address now; it may have one later."""


class AddressGuard:
    """Lets public addresses through, and private ones only in networks that are named.

    What it returns is what must be connected to: a name that is resolved again for the connection may lead elsewhere.

    Args:
        allowed: private networks (CIDR) that may be reached, for example `10.0.0.0/8`.
        resolver: gives the addresses of a host and port; the system's when None.
        timeout_s: longest wait for the system's resolver, seconds.

    Raises:
        ConfigError: `allowed` holds something that is not a network.
    """

    def __init__(
        self, allowed: Sequence[str] = (), *, resolver: Resolver | None = None, timeout_s: float = 5.0
    ) -> None:
        try:
            self._allowed = tuple(ipaddress.ip_network(network, strict=False) for network in allowed)
        except ValueError as error:
            raise ConfigError(f"not a network: {error}", hint="write it like 10.0.0.0/8") from error
        self._resolver = resolver
        self._timeout_s = timeout_s

    def check(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, as the resolver orders them.

        Args:
            host: name or address, IPv6 with or without brackets.
            port: 1..65535.

        Raises:
            UnresolvedError: the name has no address, or the resolver did not answer in time.
            AddressError: all its addresses are ones the hub must not reach.
        """
        name = host.strip("[]")
        if not name or not 1 <= port <= 65535:
            raise AddressError("an address needs a host and a port between 1 and 65535")
        resolve = self._resolver or self._system
        found = list(dict.fromkeys(resolve(name, port)))
        fitting = [address for address in found if self.allows(address)]
        if not fitting:
            raise AddressError(
                f"the hub must not connect to {name!r}: it is a private, local or reserved address",
                hint="the operator can allow its network",
            )
        return fitting

    def allows(self, address: str) -> bool:
        """Whether a literal address may be connected to."""
        try:
            given = ipaddress.ip_address(address)
        except ValueError:
            return False
        # An address that carries another one inside leads to that one.
        return all(self._fits(real) for real in (_inner(given), given) if real is not None)

    def _fits(self, address: IPAddress) -> bool:
        if address.is_multicast or address.is_unspecified:
            return False
        if any(address in network for network in self._allowed if network.version == address.version):
            return True
        if isinstance(address, ipaddress.IPv6Address) and _inner(address) is not None:
            return True  # judged by what it carries
        return address.is_global and not address.is_reserved

    def _system(self, host: str, port: int) -> Sequence[str]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass  # a name, or an old way of writing an address, which the system reads as such
        # getaddrinfo has no time-out of its own; a thread that it holds ends when it gives up.
        answer: list[str] = []
        failure: list[OSError | UnicodeError] = []

        def look_up() -> None:
            try:
                rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answer.extend(str(row[4][0]) for row in rows)
            except (OSError, UnicodeError) as error:
                failure.append(error)

        thread = threading.Thread(target=look_up, name="resolve", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if failure:
            raise UnresolvedError(f"the host {host!r} is unknown: {failure[0]}") from failure[0]
        if not answer:
            raise UnresolvedError(f"the name of {host!r} was not resolved within {self._timeout_s:g} s")
        return tuple(answer)


def _inner(address: IPAddress) -> IPAddress | None:
    """The IPv4 address that an IPv6 one leads to: mapped, 6to4, Teredo or NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
