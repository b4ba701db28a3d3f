"""What a client says of names: extra hosts, name servers and search domains, checked at create. Pure.

Source: docker/cli's opts/hosts.go and moby's daemon.verifyContainerSettings, whose words these are.
"""

import ipaddress
import re

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import HostConfig

HOST_GATEWAY = "host-gateway"
_DOMAIN = re.compile(r"[a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*\.?", re.ASCII)
_HOST_NAME = re.compile(r"[^\s#:=]+", re.ASCII)
_OPTION = re.compile(r"[a-z0-9-]+(:[0-9]+)?", re.ASCII)


def split_extra_host(entry: str) -> tuple[str, str]:
    """``NAME:ADDRESS`` or ``NAME=ADDRESS``, the address in brackets or not. Raises InvalidParameterError."""
    separator = "=" if "=" in entry else ":"
    name, _, address = entry.partition(separator)
    if not _HOST_NAME.fullmatch(name) or not address:
        raise InvalidParameterError(f'bad format for add-host: "{entry}"')
    if address == HOST_GATEWAY:
        return name, address
    try:
        return name, str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]")))
    except ValueError as error:
        raise InvalidParameterError(f'invalid IP address in add-host: "{address}"') from error


def check_names(host: HostConfig) -> None:
    """Raises InvalidParameterError for what could not stand in /etc/hosts or /etc/resolv.conf."""
    for entry in host.extra_hosts:
        split_extra_host(entry)
    for server in host.dns:
        try:
            ipaddress.ip_address(server)
        except ValueError as error:
            raise InvalidParameterError(f"HostConfig.Dns: {server} is not an ip address") from error
    for domain in host.dns_search:
        if domain != "." and not _DOMAIN.fullmatch(domain):
            raise InvalidParameterError(f"HostConfig.DnsSearch: {domain} is not a valid domain")
    for option in host.dns_options:
        if not _OPTION.fullmatch(option):
            raise InvalidParameterError(f"HostConfig.DnsOptions: {option!r} is no option of resolv.conf(5)")
