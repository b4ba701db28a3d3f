"""The engine that the decoy pretends to be: from a request to the answer that dockerd would give. Nothing is run.

A create always works, as if the image were there; a start always works; what is attached to says nothing and reads on.
Documents are read generously: a visitor's mistakes are his own.
"""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import msgspec

from tidegate.gate.decoy import answers as answers
from tidegate.gate.decoy.answers import Persona, respond, respond_bytes
from tidegate.gate.decoy.visitors import Container, Exec, Visitor, new_id
from tidegate.http.messages import Response
from tidegate.spec.timestamps import NANOSECONDS, format_time

_MOST_TEXT = 256
_RAW_STREAM = "application/vnd.docker.raw-stream"


class Asked(msgspec.Struct, frozen=True):
    """A request; ``operation`` is "-" for none, ``name`` the path's parameter."""

    operation: str
    name: str
    query: str
    body: bytes

    def text(self, key: str, default: str = "") -> str:
        """A query parameter."""
        return parse_qs(self.query, max_num_fields=64).get(key, [default])[0][:_MOST_TEXT]

    def document(self) -> dict[str, Any]:
        """The body, with its keys in lower case; {} when it is no object."""
        try:
            found = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return {str(key).lower(): value for key, value in found.items()} if isinstance(found, dict) else {}


class TakeOver(msgspec.Struct, frozen=True):
    """An answer after which the connection carries a stream; a terminal shows ``prompt``."""

    tty: bool
    prompt: bytes = b"/ # "

    def head(self, upgraded: bool) -> bytes:
        """dockerd's, with or without the client having asked for an upgrade."""
        if upgraded:
            lines = ["HTTP/1.1 101 UPGRADED", f"Content-Type: {_RAW_STREAM}", "Connection: Upgrade", "Upgrade: tcp"]
        else:
            lines = ["HTTP/1.1 200 OK", f"Content-Type: {_RAW_STREAM}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Scene(msgspec.Struct, frozen=True):
    """Everything an answer is made of."""

    persona: Persona
    visitor: Visitor
    asked: Asked
    now_s: float

    @property
    def now(self) -> str:
        return format_time(int(self.now_s * NANOSECONDS))

    def say(self, status: int, document: object = None) -> Response:
        return respond(self.now_s, status, document)

    def refuse(self, status: int, message: str) -> Response:
        return respond(self.now_s, status, {"message": message})

    def no_container(self) -> Response:
        return self.refuse(404, f"No such container: {self.asked.name[:_MOST_TEXT]}")


Answer = Response | TakeOver


def answer(persona: Persona, visitor: Visitor, asked: Asked, now_s: float) -> Answer:
    """What the lonely engine says, and what it then believes to have."""
    scene = _Scene(persona, visitor, asked, now_s)
    plain = _PLAIN.get(asked.operation)
    if plain is not None:
        return plain(scene)
    of_container = _OF_CONTAINER.get(asked.operation)
    if of_container is not None:
        container = visitor.find(asked.name)
        return scene.no_container() if container is None else of_container(scene, container)
    if asked.operation == "-":
        return scene.refuse(404, "page not found")
    if asked.operation.startswith(("Swarm", "Node", "Service", "Task", "Secret", "Config")):
        message = (
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
        )
        return scene.refuse(503, message + "to swarm and try again.")
    return scene.say(200, {} if not asked.operation.endswith("List") else [])


def _create(scene: _Scene) -> Answer:
    document = scene.asked.document()
    reference = document.get("image")
    if not isinstance(reference, str) or not reference:
        return scene.refuse(400, "no command specified" if document else "EOF")
    container = Container(
        id=new_id(),
        name=scene.asked.text("name") or f"quirky_{new_id()[:6]}",
        image=reference[:_MOST_TEXT],
        command=_command(document),
        tty=document.get("tty") is True,
    )
    if scene.visitor.find(container.name) is not None:
        known = f'Conflict. The container name "/{container.name}" is already in use by container "{container.id}".'
        return scene.refuse(
            409, known + " You have to remove (or rename) that container to be able to reuse that name."
        )
    scene.visitor.containers.put(container.id, container)
    return scene.say(201, {"Id": container.id, "Warnings": []})


def _command(document: dict[str, Any]) -> str:
    words: list[str] = []
    for key in ("entrypoint", "cmd"):
        value = document.get(key)
        words += [str(word) for word in value] if isinstance(value, list) else [value] if isinstance(value, str) else []
    return " ".join(words)[:_MOST_TEXT]


def _pull(scene: _Scene) -> Answer:
    name, tag = scene.asked.text("fromImage", "-"), scene.asked.text("tag")
    if name == "-":  # an import: its body was read and is thrown away
        return scene.say(200, {"status": f"sha256:{scene.persona.digits(scene.asked.query)}"})
    name = name.removeprefix("docker.io/").removeprefix("library/")  # as dockerd shows them
    has_tag = ":" in name.rpartition("/")[2]
    reference = name if has_tag else f"{name}:{tag or 'latest'}"
    scene.visitor.images.put(reference, reference)
    lines = (json.dumps(line, separators=(",", ":")) for line in answers.pull_progress(scene.persona, reference))
    return respond_bytes(scene.now_s, 200, "".join(f"{line}\r\n" for line in lines).encode(), "application/json")


def _build(scene: _Scene) -> Answer:
    made = scene.persona.digits(scene.asked.query, 12)
    lines = [{"stream": "Step 1/1 : FROM scratch\n"}, {"stream": f"Successfully built {made}\n"}]
    if tag := scene.asked.text("t"):
        scene.visitor.images.put(tag, tag)
        lines.append({"stream": f"Successfully tagged {tag}\n"})
    body = "".join(json.dumps(line, separators=(",", ":")) + "\r\n" for line in lines).encode()
    return respond_bytes(scene.now_s, 200, body, "application/json")


def _info(scene: _Scene) -> Answer:
    counts = len(scene.visitor.containers.values()), len(scene.visitor.images.values())
    return scene.say(200, answers.info(scene.persona, scene.now, *counts))


def _images(scene: _Scene) -> Answer:
    rows = [answers.image(scene.persona, each, scene.now_s) for each in scene.visitor.images.values()]
    return scene.say(200, rows)


def _containers(scene: _Scene) -> Answer:
    everything = scene.asked.text("all") not in ("", "0", "false")
    shown = [each for each in scene.visitor.containers.values() if each.running or everything]
    return scene.say(200, [_row(scene, each) for each in shown])


def _row(scene: _Scene, container: Container) -> dict[str, object]:
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": container.image,
        "ImageID": f"sha256:{scene.persona.digits(container.image)}",
        "Command": container.command,
        "Created": int(scene.now_s) - 3,
        "Ports": [],
        "Labels": {},
        "State": "running" if container.running else "created",
        "Status": "Up 3 seconds" if container.running else "Created",
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2", "Gateway": "172.17.0.1"}}},
        "Mounts": [],
    }


def _inspect(scene: _Scene, container: Container) -> Answer:
    state = {
        "Status": "running" if container.running else "created",
        "Running": container.running,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 4711 if container.running else 0,
        "ExitCode": 0,
        "Error": "",
        "StartedAt": scene.now if container.running else "0001-01-01T00:00:00Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
    }
    document = {
        "Id": container.id,
        "Created": scene.now,
        "Path": container.command.partition(" ")[0],
        "Args": container.command.split()[1:],
        "State": state,
        "Image": f"sha256:{scene.persona.digits(container.image)}",
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": "overlay2",
        "Platform": "linux",
        "Config": {"Hostname": container.id[:12], "Image": container.image, "Tty": container.tty, "Env": []},
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"IPAddress": "172.17.0.2", "Networks": {}},
        "Mounts": [],
    }
    return scene.say(200, document)


def _set_running(running: bool) -> Callable[[_Scene, Container], Answer]:
    def change(scene: _Scene, container: Container) -> Answer:
        changed = container.running is not running
        container.running = running
        return scene.say(204 if changed else 304)

    return change


def _done(scene: _Scene, _container: Container) -> Answer:
    return scene.say(204)


def _remove(scene: _Scene, container: Container) -> Answer:
    scene.visitor.containers.pop(container.id)
    return scene.say(204)


def _wait(scene: _Scene, container: Container) -> Answer:
    container.running = False
    return scene.say(200, {"StatusCode": 0})


def _logs(scene: _Scene, _container: Container) -> Answer:
    return respond_bytes(scene.now_s, 200, b"", _RAW_STREAM)


def _attach(_scene: _Scene, container: Container) -> Answer:
    return TakeOver(container.tty)


def _exec_create(scene: _Scene, container: Container) -> Answer:
    if not container.running:
        return scene.refuse(409, f"Container {container.id} is not running")
    made = Exec(new_id(), container.id, scene.asked.document().get("tty") is True)
    scene.visitor.execs.put(made.id, made)
    return scene.say(201, {"Id": made.id})


def _exec_start(scene: _Scene) -> Answer:
    found = scene.visitor.execs.get(scene.asked.name)
    if found is None:
        return scene.refuse(404, f"No such exec instance: {scene.asked.name[:_MOST_TEXT]}")
    return scene.say(200) if scene.asked.document().get("detach") is True else TakeOver(found.tty)


def _exec_inspect(scene: _Scene) -> Answer:
    found = scene.visitor.execs.get(scene.asked.name)
    if found is None:
        return scene.refuse(404, f"No such exec instance: {scene.asked.name[:_MOST_TEXT]}")
    return scene.say(
        200, {"ID": found.id, "Running": False, "ExitCode": 0, "Pid": 0, "ContainerID": found.container_id}
    )


_PLAIN: dict[str, Callable[[_Scene], Answer]] = {
    "SystemPing": lambda scene: answers.ping(scene.now_s, head=False),
    "SystemPingHead": lambda scene: answers.ping(scene.now_s, head=True),
    "SystemVersion": lambda scene: scene.say(200, answers.version()),
    "SystemInfo": _info,
    "SystemAuth": lambda scene: scene.say(200, {"Status": "Login Succeeded", "IdentityToken": ""}),
    "SystemDataUsage": lambda scene: scene.say(200, {"LayersSize": 0, "Images": [], "Containers": [], "Volumes": []}),
    "SystemEvents": lambda scene: respond_bytes(scene.now_s, 200, b"", "application/json"),
    "ImageList": _images,
    "ImageCreate": _pull,
    "ImageBuild": _build,
    "ImageLoad": lambda scene: scene.say(200, {"stream": "Loaded image: latest\n"}),
    "ContainerList": _containers,
    "ContainerCreate": _create,
    "ExecStart": _exec_start,
    "ExecInspect": _exec_inspect,
    "NetworkList": lambda scene: scene.say(200, answers.networks(scene.persona, scene.now)),
    "NetworkCreate": lambda scene: scene.say(201, {"Id": new_id(), "Warning": ""}),
    "VolumeList": lambda scene: scene.say(200, {"Volumes": [], "Warnings": None}),
    "VolumeCreate": lambda scene: scene.say(201, {"Name": new_id(), "Driver": "local", "Scope": "local"}),
}
_OF_CONTAINER: dict[str, Callable[[_Scene, Container], Answer]] = {
    "ContainerStart": _set_running(True),
    "ContainerStop": _set_running(False),
    "ContainerKill": _done,
    "ContainerRestart": _done,
    "ContainerPause": _done,
    "ContainerUnpause": _done,
    "ContainerRename": _done,
    "ContainerResize": lambda scene, _container: scene.say(200),
    "ContainerUpdate": lambda scene, _container: scene.say(200, {"Warnings": None}),
    "ContainerDelete": _remove,
    "ContainerWait": _wait,
    "ContainerLogs": _logs,
    "ContainerInspect": _inspect,
    "ContainerTop": lambda scene, _container: scene.say(200, {"Titles": ["PID", "CMD"], "Processes": []}),
    "ContainerAttach": _attach,
    "ContainerExec": _exec_create,
    "PutContainerArchive": lambda scene, _container: scene.say(200),
}
