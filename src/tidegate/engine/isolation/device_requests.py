"""``DeviceRequests``: which devices a client asks for by name, or by what they can do. Pure.

- driver ``cdi``: by full name, ``vendor.com/class=name`` (``docker run --device``);
- no driver, or ``nvidia``, with the capability ``gpu`` (``docker run --gpus``): devices of a vendor's class ``gpu``, if
  the host describes such; ``Count`` -1 is all of them.

Source: moby's daemon/devices.go, cdi.go and nvidia_linux.go, whose words these are.
"""

import re
from collections.abc import Collection, Sequence

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.container import DeviceRequest

CDI = "cdi"
GPU_KINDS = ("nvidia.com/gpu", "amd.com/gpu", "intel.com/gpu")
_GPU_DRIVERS = {"": GPU_KINDS, "nvidia": GPU_KINDS[:1], "amd": GPU_KINDS[1:2]}
_GPU_CAPABILITIES = frozenset(
    {"gpu", "nvidia", "amd", "compute", "compat32", "graphics", "utility", "video", "display", "ngx"}
)
_NAME = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w-]*=[A-Za-z0-9][\w.:-]*", re.ASCII)


def check_device_requests(requests: Sequence[DeviceRequest]) -> None:
    """At create, before anything is looked up. Raises InvalidParameterError."""
    for request in requests:
        if request.count > 0 and request.device_ids:
            raise InvalidParameterError("cannot set both Count and DeviceIDs on device request")
        if request.options:
            raise InvalidParameterError(f"DeviceRequests.Options: {_shown(request)} has none")
        if request.driver == CDI:
            if request.count:
                raise InvalidParameterError("DeviceRequests.Count: CDI devices are asked for by DeviceIDs")
            for name in request.device_ids:
                if not _NAME.fullmatch(name):
                    raise InvalidParameterError(f"invalid CDI device name {name!r}: must be vendor.com/class=name")
        elif request.driver not in _GPU_DRIVERS or not _wants_gpu(request):
            raise InvalidParameterError(f"could not select device driver {_shown(request)}")


def plan_cdi_names(requests: Sequence[DeviceRequest], known: Collection[str]) -> Sequence[str]:
    """Full names, each once; those asked for by name may be none of ``known``. Raises InvalidParameterError."""
    check_device_requests(requests)
    found: dict[str, None] = {}
    for request in requests:
        names = request.device_ids if request.driver == CDI else _gpus(request, known)
        found.update(dict.fromkeys(names))
    return list(found)


def _gpus(request: DeviceRequest, known: Collection[str]) -> Sequence[str]:
    for kind in _GPU_DRIVERS[request.driver]:
        names = [name for name in known if name.startswith(f"{kind}=")]
        if not names:
            continue
        if request.device_ids:
            return [f"{kind}={name}" for name in request.device_ids]
        if request.count < 0:
            return [f"{kind}=all"] if f"{kind}=all" in names else sorted(names)
        return [f"{kind}={number}" for number in range(request.count)]
    raise InvalidParameterError(f"could not select device driver {_shown(request)}")


def _wants_gpu(request: DeviceRequest) -> bool:
    return any("gpu" in words and set(words) <= _GPU_CAPABILITIES for words in request.capabilities)


def _shown(request: DeviceRequest) -> str:
    """As Go prints them."""
    capabilities = " ".join(f"[{' '.join(words)}]" for words in request.capabilities)
    return f'"{request.driver}" with capabilities: [{capabilities}]'
