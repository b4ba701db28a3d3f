"""A program that drives containers, as test suites and notebooks do; what it prints is compared."""

import io
import json

import docker
from docker.types import Mount

client = docker.from_env(version="auto")
print(client.ping(), client.version()["ApiVersion"])
print(client.containers.run("busybox", ["echo", "hello"], remove=True, network_mode="none"))
container = client.containers.run(
    "busybox", "cat", detach=True, name="py", labels={"a": "b"}, mem_limit="64m", environment=["A=b"],
    mounts=[Mount("/data", "pydata")], stdin_open=True, tmpfs={"/t": ""}, cap_drop=["ALL"], network_mode="none",
)  # fmt: skip
attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
raw = getattr(attached, "_sock", attached)
raw.sendall(b"through the stream\n")
print(attached.read(8 + 19)[8:])
attached.close()
print(container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 5"], demux=True))
print(container.logs(tail=3), list(container.logs(stream=True, follow=False)))
print(sorted(container.stats(stream=False))[:3], next(container.stats(decode=True))["name"])
print(container.put_archive("/data", b"\0" * 10240), sorted(each["Path"] for each in container.diff()))
chunks, stat = container.get_archive("/etc/hostname")
print(stat["name"], stat["size"], sum(map(len, chunks)))
container.rename("py2")
print(container.commit("pycommit", "1").tags)
container.kill("KILL")
print(container.wait()["StatusCode"])
for event in client.events(since=0, until=1, decode=True):
    print(event)
network = client.networks.create("pynet", driver="bridge", labels={"a": "b"}, internal=True)
print([each.name for each in client.networks.list(names=["pynet"])])
image, lines = client.images.build(
    fileobj=io.BytesIO(b"FROM busybox\nRUN echo built\n"), tag="pybuilt:1", rm=True, network_mode="none", nocache=True
)
print([line["stream"] for line in lines if line.get("stream", "").startswith(("Step", "built"))], image.tags)
print(len(b"".join(image.save())) > 1_000_000, client.images.load(b"".join(image.save()))[0].tags)
try:
    client.images.pull("127.0.0.1:1/nothing", "1")
except docker.errors.APIError as error:
    print(error.status_code)
try:
    client.containers.get("nobody")
except docker.errors.NotFound as error:
    print(error.explanation)
container.remove(force=True, v=True)
network.remove()
client.volumes.get("pydata").remove()
for name in ("pybuilt:1", "pycommit:1"):
    client.images.remove(name, force=True)
print(json.dumps(client.containers.prune()))
client.close()
