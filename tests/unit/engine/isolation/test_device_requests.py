"""Device requests: by name, or GPUs as the host describes them."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.engine.isolation.device_requests import check_device_requests, plan_cdi_names
from tidegate.spec.container import DeviceRequest

KNOWN = ["nvidia.com/gpu=0", "nvidia.com/gpu=1", "nvidia.com/gpu=all", "amd.com/gpu=7", "acme.com/dev=a"]


def gpus(count: int = 0, *ids: str, driver: str = "", capability: str = "gpu") -> DeviceRequest:
    return DeviceRequest(driver=driver, count=count, device_ids=ids, capabilities=((capability,),))


def test_names_are_asked_for_once() -> None:
    first = DeviceRequest(driver="cdi", device_ids=("acme.com/dev=a", "acme.com/dev=b"))
    assert plan_cdi_names([first, first], KNOWN) == ["acme.com/dev=a", "acme.com/dev=b"]
    assert plan_cdi_names([], KNOWN) == []


def test_gpus_are_those_of_the_first_vendor_that_describes_some() -> None:
    assert plan_cdi_names([gpus(-1)], KNOWN) == ["nvidia.com/gpu=all"]
    assert plan_cdi_names([gpus(2)], KNOWN) == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert plan_cdi_names([gpus(0, "1")], KNOWN) == ["nvidia.com/gpu=1"]
    assert plan_cdi_names([gpus(-1, driver="amd")], KNOWN) == ["amd.com/gpu=7"]
    assert plan_cdi_names([gpus(-1)], KNOWN[3:]) == ["amd.com/gpu=7"]
    with pytest.raises(
        InvalidParameterError, match=r'could not select device driver "" with capabilities: \[\[gpu\]\]'
    ):
        plan_cdi_names([gpus(-1)], ["acme.com/dev=a"])


@pytest.mark.parametrize(
    ("request_", "complaint"),
    [
        (gpus(1, "0"), "cannot set both Count and DeviceIDs"),
        (gpus(1, driver="acme"), 'could not select device driver "acme"'),
        (gpus(1, capability="tpu"), r"with capabilities: \[\[tpu\]\]"),
        (DeviceRequest(driver="cdi", device_ids=("dev",)), "invalid CDI device name 'dev'"),
        (DeviceRequest(driver="cdi", device_ids=("../x/y=z",)), "invalid CDI device name"),
        (DeviceRequest(driver="cdi", count=-1), "CDI devices are asked for by DeviceIDs"),
        (DeviceRequest(driver="cdi", device_ids=("a.b/c=d",), options={"x": "y"}), "DeviceRequests.Options"),
    ],
)
def test_what_no_driver_takes_is_refused(request_: DeviceRequest, complaint: str) -> None:
    with pytest.raises(InvalidParameterError, match=complaint):
        check_device_requests([request_])
