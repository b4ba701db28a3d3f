"""Names of this host as Docker and OCI documents spell them."""

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}


def go_architecture(machine: str) -> str:
    """A kernel's machine name (uname(2)) as Go, and so every image, names it: ``amd64``."""
    return _GO_NAMES.get(machine, machine)
