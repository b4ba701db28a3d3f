"""What older clients are shown of images and volumes."""

from collections.abc import Sequence

from tidegate.api.versions.change import AnswerChange, View, including, without
from tidegate.spec.codec import document
from tidegate.spec.container import ContainerConfig

_ZERO_TIME = "0001-01-01T00:00:00Z"
_OF_IMAGES: View = {
    "Cmd": None, "Entrypoint": None, "Env": None, "Labels": None, "OnBuild": None, "User": "", "Volumes": None,
    "WorkingDir": "",
}  # fmt: skip
_OF_CONTAINERS: View = {
    "Hostname": "", "Domainname": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False, "Tty": False,
    "OpenStdin": False, "StdinOnce": False, "Image": "",
}  # fmt: skip


def _with_virtual_size(view: View) -> View:
    return {**view, "VirtualSize": view["Size"]}


def _with_container_of_build(view: View) -> View:
    return {**view, "Container": "", "ContainerConfig": document(ContainerConfig())}


def _with_none(view: View) -> View:
    if view["RepoTags"] or view["RepoDigests"]:
        return view
    return {**view, "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]}


ANSWERS: Sequence[AnswerChange] = (
    AnswerChange(
        (1, 52), "ImageInspect", "what is not set of the configuration is left out", including(_OF_IMAGES, "Config")
    ),
    AnswerChange(
        (1, 52), "ImageInspect", "Parent, Comment, DockerVersion and Author are left out when empty",
        including({"Parent": "", "Comment": "", "DockerVersion": "", "Author": ""}),
    ),
    AnswerChange(
        (1, 50), "ImageInspect", "the configuration has no fields of containers", including(_OF_CONTAINERS, "Config")
    ),
    AnswerChange((1, 45), "ImageInspect", "the container of the build is not told", _with_container_of_build),
    AnswerChange((1, 44), "ImageInspect", "there is one size", _with_virtual_size),
    AnswerChange((1, 44), "ImageInspect", "an unknown date is left out", including({"Created": _ZERO_TIME})),
    AnswerChange((1, 44), "ImageSummary", "there is one size", _with_virtual_size),
    AnswerChange((1, 43), "ImageSummary", "an image without names has none", _with_none),
    AnswerChange((1, 31), "Volume", "a volume tells when it was made", without("CreatedAt")),
)  # fmt: skip
