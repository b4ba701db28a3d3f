"""What an administrator may say of the bridge; apart from the driver, since most of it is for its parts."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path

import msgspec

from tidegate.drivers.bridge.names import DEFAULT_SUBNETS


class BridgeSettings(msgspec.Struct, frozen=True):
    """Of one bridge.

    - No ``subnet``: the existing bridge's, else the first free of ``pool``.
    - Containers get addresses of ``fixed`` only, a part of the subnet.
    - ``among_themselves``: containers reach each other; ``masquerade``: the world sees the host's address;
      ``forward``: the kernel is told to forward.
    """

    name: str = "tidegate0"
    subnet: IPv4Network | None = None
    pool: Sequence[IPv4Network] = DEFAULT_SUBNETS
    fixed: IPv4Network | None = None
    mtu: int = 1500
    among_themselves: bool = True
    masquerade: bool = True
    forward: bool = True
    relay_root: Path = Path("/run/tidegate/relay")
