"""Testcontainers, its reaper off, on the default bridge: what it starts answers, and is gone afterwards."""

import urllib.request

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

serve = ["sh", "-c", "echo served > index.html; echo ready; exec httpd -f -p 8000"]
web = DockerContainer("busybox", user="0").with_command(serve).with_exposed_ports(8000).with_env("A", "b")
with web.waiting_for(LogMessageWaitStrategy("ready")) as served:
    url = f"http://{served.get_container_host_ip()}:{served.get_exposed_port(8000)}/index.html"
    print(urllib.request.urlopen(url, timeout=10).read())
    print(served.exec(["sh", "-c", "echo $A"]))
    with DockerContainer("busybox").with_volume_mapping("/etc", "/host", "ro").with_command("sleep 300") as client:
        print(client.exec(["test", "-e", "/host/passwd"]).exit_code, client.get_logs())
print(served.get_docker_client().client.containers.list(all=True))
