"""A program that drives containers, as test suites and notebooks do."""

import contextlib
import io

import docker
from docker.types import Mount

client = docker.from_env(version="auto")
client.ping()
client.info()
client.version()
print(client.containers.run("busybox", ["echo", "hello"], remove=True))
container = client.containers.run(
    "busybox", "sleep 300", detach=True, name="py", labels={"a": "b"}, ports={"80/tcp": 8090}, mem_limit="64m",
    environment=["A=b"], mounts=[Mount("/data", "pydata")], auto_remove=False, tty=True, stdin_open=True,
    nano_cpus=500_000_000, tmpfs={"/t": ""}, cap_drop=["ALL"], security_opt=["no-new-privileges"],
)  # fmt: skip
container.reload()
client.containers.list(all=True, filters={"label": "a=b", "status": ["running", "exited"]})
print(container.exec_run(["echo", "x"], demux=True))
print(container.exec_run("cat", stdin=True, socket=True))
container.logs(tail=3, timestamps=True)
for line in container.logs(stream=True, follow=False):
    print(line)
container.stats(stream=False)
container.top()
container.diff()
container.put_archive("/tmp", b"\0" * 10240)
chunks, stat = container.get_archive("/etc/hostname")
print(stat, sum(map(len, chunks)))
with contextlib.suppress(docker.errors.APIError):
    container.update(mem_limit="128m", memswap_limit="128m")
container.rename("py2")
container.commit("pycommit", "1")
container.pause()
container.unpause()
container.restart(timeout=1)
container.kill("HUP")
container.stop(timeout=1)
container.wait()
list(client.events(since=0, until=1, decode=True))
network = client.networks.create("pynet", driver="bridge", labels={"a": "b"})
network.connect(container, aliases=["z"])
network.disconnect(container)
client.networks.list(names=["pynet"])
client.volumes.list(filters={"dangling": True})
image, _ = client.images.build(fileobj=io.BytesIO(b"FROM busybox\nRUN true\n"), tag="pybuilt:1", rm=True)
image.tag("pybuilt", "2")
image.history()
b"".join(image.save())
client.images.list(filters={"dangling": False})
with contextlib.suppress(docker.errors.APIError):
    client.images.pull("alpine", "3.20")
with contextlib.suppress(docker.errors.APIError):
    client.images.get_registry_data("alpine")
container.remove(force=True, v=True)
network.remove()
client.volumes.get("pydata").remove()
for name in ("pybuilt:1", "pybuilt:2", "pycommit:1"):
    client.images.remove(name, force=True)
client.containers.prune()
client.df()
client.close()
