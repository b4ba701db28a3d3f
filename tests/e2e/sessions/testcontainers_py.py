"""Containers that live as long as a test: Testcontainers, its reaper off; what is printed is compared."""

import urllib.request

from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network
from testcontainers.core.waiting_utils import wait_for_logs

serve = ["sh", "-c", "echo served > index.html; echo ready; exec httpd -f -p 8000"]
with Network() as network:
    web = DockerContainer("busybox", user="0").with_command(serve).with_exposed_ports(8000).with_env("A", "b")
    with web.with_network(network).with_network_aliases("web") as served:
        wait_for_logs(served, "ready", timeout=20)
        url = f"http://{served.get_container_host_ip()}:{served.get_exposed_port(8000)}/index.html"
        print(urllib.request.urlopen(url, timeout=10).read())
        print(served.exec(["sh", "-c", "echo $A"]))
        with DockerContainer("busybox").with_network(network).with_command("sleep 300") as client:
            print(client.exec(["wget", "-q", "-O", "-", "http://web:8000/index.html"]))
            print(client.get_logs())
