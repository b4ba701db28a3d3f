"""How deep read-only goes, by what the kernel can."""

from pathlib import Path

import pytest
from tests.fakes.filesystems import FakeStage

from tidegate.base.errors import InvalidParameterError
from tidegate.drivers.mounts.container_mounts import StagedMounts, knows_mount_setattr
from tidegate.model.container import Container
from tidegate.spec.codec import encode
from tidegate.spec.container import BindOptions, CreateRequest, HostConfig, Mount


def below(root: Path, release: str, **options: bool) -> bool:
    mount = Mount(type="bind", source="/s", target="/t", read_only=True, bind_options=BindOptions(**options))
    document = encode(CreateRequest(host_config=HostConfig(mounts=(mount,))))
    (request,) = StagedMounts(FakeStage(root), release).requests(Container("1", "n", 0, "i", "i", document=document))
    assert request.read_only
    return request.read_only_below


def test_read_only_reaches_below_where_the_kernel_can(tmp_path: Path) -> None:
    assert below(tmp_path, "6.1.0-13-amd64") and not below(tmp_path, "5.10.0")
    assert not below(tmp_path, "6.1.0", read_only_non_recursive=True)
    assert below(tmp_path, "6.1.0", read_only_force_recursive=True)
    with pytest.raises(InvalidParameterError, match="BindOptions.ReadOnlyForceRecursive: this kernel cannot"):
        below(tmp_path, "5.10.0", read_only_force_recursive=True)
    assert [knows_mount_setattr(each) for each in ("5.12", "5.11.9", "odd")] == [True, False, False]
