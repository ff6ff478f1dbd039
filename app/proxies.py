"""Proxies whose word is taken: for who their user is, and for whether a request came to them by https."""

import ipaddress
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


class ProxyListError(ValueError):
    """A list of proxies that cannot be read, or that would believe everybody."""


class Proxies:
    """A closed list of addresses. An IPv4 address is the same one when it comes in the clothes of IPv6."""

    def __init__(self, text: str = "") -> None:
        """`text`: addresses and networks in CIDR notation, separated by spaces. ProxyListError."""
        self._networks = [_network(part) for part in text.split()]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._networks)

    def lists(self, peer: str | None) -> bool:
        """Whether the other end of the connection is one of them. Nothing that a request says is looked at."""
        if not self._networks or not peer:
            return False
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])  # a zone says which cable, not who
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        # Strict: 10.0.0.7/8 may mean one address or sixteen million.
        network: Network = ipaddress.ip_network(text)
    except ValueError:
        raise ProxyListError("A proxy is an address or a network such as 10.1.2.0/24.") from None
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        mapped = network.network_address.ipv4_mapped
        network = ipaddress.IPv4Network(f"{mapped}/{network.prefixlen - _MAPPED.prefixlen}")
    if network.prefixlen == 0:
        raise ProxyListError("Every address there is cannot be a proxy.")
    return network
