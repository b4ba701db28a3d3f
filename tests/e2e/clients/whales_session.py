"""python-on-whales: the docker CLI and Compose, driven by a library that reads what they print."""

import sys

from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException

docker = DockerClient(compose_files=[sys.argv[1]])
print(docker.run("busybox", ["echo", "hello"], remove=True))
with docker.run("busybox", ["sleep", "60"], detach=True, name="whale", labels={"a": "b"}, stop_timeout=0) as container:
    print(container.state.running, container.name, container.config.labels["a"])
    print(container.execute(["sh", "-c", "echo inside"]))
    docker.copy(sys.argv[1], (container, "/tmp/copied"))
    print("services:" in container.execute(["cat", "/tmp/copied"]))
    container.pause()
    print(container.state.status)
    container.unpause()
    print([each.container_name for each in docker.stats()])
try:
    docker.run("busybox", ["sh", "-c", "exit 7"], remove=True)
except DockerException as error:
    print(error.return_code)
volume = docker.volume.create("whales", labels={"x": "y"})
print(volume.labels["x"], [each.name for each in docker.volume.list()])
volume.remove()
print(docker.system.info().driver, docker.system.disk_free().images.total_count)
docker.compose.up(["db", "job"], detach=True, wait=False)
print(sorted(each.name for each in docker.compose.ps(all=True)))
docker.compose.down(volumes=True, timeout=0)
print(docker.ps(all=True))
