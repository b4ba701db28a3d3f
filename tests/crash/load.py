"""A mixed load on an engine and a shim that keep dying, and what each client may conclude from the answers it got.

A request whose connection broke, or that was answered by 503, has an unknown outcome. Every other answer is a promise:
what it said holds after any crash.
"""

import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import docker
import requests
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from urllib3.exceptions import HTTPError

TICKER = "trap 'exit 5' TERM; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.04; done"
CONNECTION_LOST = (requests.exceptions.RequestException, HTTPError, OSError, ValueError)
TICKERS_ALIVE = 2
LEFT_LYING = 3
PHOENIXES = 1
CLEAR_DEADLINE_S = 120
WEIGHTS = {"run": 30, "exec": 20, "logs": 10, "pause": 10, "stop": 8, "remove": 8, "restart": 4, "policy": 4, "port": 8}
CUT = b"shim was killed"  # what a stream says whose output lacks something


@dataclass
class Ticker:
    """A container that prints numbered lines. ``pid`` is 0 until a start was answered."""

    name: str
    pid: int = 0
    port: int = 0  # of the host, where one is published
    ended: bool = True  # asked to end, or the start's outcome is not known


@dataclass
class Short:
    """A container that ends by itself; once ``started`` was answered it must end with ``code``."""

    name: str
    code: int
    started: bool = False

    @property
    def output(self) -> str:
        return f"begin {self.name}\nend {self.name}\n"


@dataclass
class Phoenix:
    """A container that ends every moment and is started again by its policy, until it is stopped."""

    name: str
    started: bool = False


@dataclass
class Client:
    """One thread of the load. ``complaints`` are promises the engine broke."""

    number: int
    seed: int
    new_client: Callable[[], docker.DockerClient]
    stop: threading.Event
    reaches: Callable[[int], bool]
    complaints: list[str] = field(default_factory=list)
    tickers: list[Ticker] = field(default_factory=list)
    shorts: list[Short] = field(default_factory=list)
    phoenixes: list[Phoenix] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    created: int = 0

    def run(self) -> None:
        """Until ``stop``."""
        chance = random.Random(self.seed)
        while not self.stop.is_set():
            client = self.new_client()
            try:
                while not self.stop.is_set():
                    self._one(client, chance)
            except APIError as error:
                if error.status_code == 503:
                    continue
                where = [f"{each.name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
                self.complaints.append(f"client {self.number}: {error} ({' '.join(where)})")
            except CONNECTION_LOST:
                self.stop.wait(0.05)
            finally:
                client.close()

    def clear(self, client: docker.DockerClient) -> None:
        """Look at everything that is left, and remove it."""
        deadline = time.monotonic() + CLEAR_DEADLINE_S
        while self.shorts or self.phoenixes or self.tickers:
            if time.monotonic() > deadline:
                left = [each.name for each in (*self.shorts, *self.phoenixes, *self.tickers)]
                self.complaints.append(f"client {self.number} cannot clear {left}")
                return
            if self.shorts:
                self._clear_short(client)
            elif self.phoenixes:
                self._clear_phoenix(client)
            else:
                self._clear_ticker(client, self.tickers[0])

    def _one(self, client: docker.DockerClient, chance: random.Random) -> None:
        what = "start"
        alive = [ticker for ticker in self.tickers if not ticker.ended]
        lying = [ticker for ticker in self.tickers if ticker.ended]
        if len(self.shorts) > LEFT_LYING:
            return self._clear_short(client)
        if len(lying) > LEFT_LYING:
            return self._clear_ticker(client, lying[0])
        if len(alive) < TICKERS_ALIVE:
            self._start_ticker(client, chance)
        else:
            what = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            self._on_ticker(client, chance, what, chance.choice(alive))
        self.done[what] = self.done.get(what, 0) + 1

    def _on_ticker(self, client: docker.DockerClient, chance: random.Random, what: str, ticker: Ticker) -> None:
        if what == "run":
            return self._run_short(client, chance)
        if what == "policy":
            return self._keep_phoenix(client)
        container = client.containers.get(ticker.name)
        self._check_alive(container, ticker)
        match what:
            case "exec":
                self._exec(container, ticker)
            case "logs":
                self.complaints += wrong_lines(ticker.name, container.logs().decode())
            case "pause":
                self._pause(container, ticker)
            case "port":
                if ticker.port and container.status == "running" and not self.reaches(ticker.port):
                    self.complaints.append(f"{ticker.name} is not reached at its port {ticker.port}")
            case "restart":
                ticker.ended, ticker.pid, ticker.port = True, 0, 0
                container.restart(timeout=5)
                ticker.ended = False
                container.reload()
                self._check_alive(container, ticker)
            case "stop":
                ticker.ended = True
                container.stop(timeout=5)
                container.reload()
                state = container.attrs["State"]
                if (state["Status"], state["ExitCode"]) not in (("exited", 5), ("exited", 137)):
                    self.complaints.append(f"{ticker.name} was stopped and is {state['Status']} ({state['ExitCode']})")
            case _:
                self._clear_ticker(client, ticker)

    def _name(self) -> str:
        self.created += 1
        return f"c{self.number}-{self.created}"

    def _start_ticker(self, client: docker.DockerClient, chance: random.Random) -> None:
        ticker = Ticker(self._name())
        options: dict[str, object] = {"ports": {"80/tcp": None}} if chance.random() < 0.5 else {"network_mode": "none"}
        script = f"httpd -p 80; {TICKER}" if "ports" in options else TICKER
        client.ping()  # an engine that is down makes no container that would have to be looked at
        self.tickers.append(ticker)
        container = client.containers.create("busybox", ["sh", "-c", script], name=ticker.name, **options)
        container.start()
        ticker.ended = False  # the start was answered: from here on it must run
        container.reload()
        self._check_alive(container, ticker)

    def _check_alive(self, container: Container, ticker: Ticker) -> None:
        state = container.attrs["State"]
        if state["Status"] not in ("running", "paused"):
            self.complaints.append(f"{ticker.name} is {state['Status']} ({state['ExitCode']}) though nobody ended it")
        elif ticker.pid and state["Pid"] != ticker.pid:
            self.complaints.append(f"{ticker.name} changed its process from {ticker.pid} to {state['Pid']}")
        published = container.attrs["NetworkSettings"]["Ports"].get("80/tcp")
        port = int(published[0]["HostPort"]) if published else 0
        if ticker.port not in (0, port):
            self.complaints.append(f"{ticker.name} changed its port from {ticker.port} to {port}")
        ticker.pid, ticker.port = state["Pid"], port

    def _run_short(self, client: docker.DockerClient, chance: random.Random) -> None:
        short = Short(self._name(), chance.randrange(1, 100))
        naps = chance.choice(["0", "0.1", "0.3"])
        script = f"echo begin {short.name}; sleep {naps}; echo end {short.name}; exit {short.code}"
        network = chance.choice(["none", "bridge"])
        client.ping()
        self.shorts.append(short)
        container = client.containers.create("busybox", ["sh", "-c", script], name=short.name, network_mode=network)
        shown = container.attach(stdout=True, stderr=True, stream=True) if chance.random() < 0.5 else None
        container.start()
        short.started = True
        if shown is not None:
            output = b"".join(shown)
            if not short.output.encode().startswith(output) and CUT not in output:
                self.complaints.append(f"{short.name} showed {output!r}")
        self._end_short(container, short)

    def _keep_phoenix(self, client: docker.DockerClient) -> None:
        if len(self.phoenixes) > PHOENIXES:
            return self._clear_phoenix(client)
        phoenix = Phoenix(self._name())
        client.ping()
        self.phoenixes.append(phoenix)
        container = client.containers.create(
            "busybox", ["sh", "-c", "echo up; sleep 0.2; exit 1"], name=phoenix.name,
            restart_policy={"Name": "always"}, network_mode="none",
        )  # fmt: skip
        container.start()
        phoenix.started = True
        return None

    def _clear_phoenix(self, client: docker.DockerClient) -> None:
        phoenix = self.phoenixes[0]
        if self._gone(client, phoenix.name, lambda container: self._end_phoenix(container, phoenix)):
            self.phoenixes.remove(phoenix)

    def _end_phoenix(self, container: Container, phoenix: Phoenix) -> None:
        if phoenix.started and container.status not in ("running", "restarting"):
            self.complaints.append(f"{phoenix.name} is {container.attrs['State']} though its policy is always")
        logged = container.logs()
        if logged != b"up\n" * logged.count(b"u"):
            self.complaints.append(f"{phoenix.name} logged {logged!r}")
        phoenix.started = False
        container.remove(force=True)
        self.phoenixes.remove(phoenix)

    def _end_short(self, container: Container, short: Short) -> None:
        if short.started:
            code = container.wait(timeout=30)["StatusCode"]
            if code != short.code:
                self.complaints.append(f"{short.name} exited with {code}, not {short.code}")
            logged = container.logs().decode()
            if logged != short.output:
                self.complaints.append(f"{short.name} logged {logged!r}")
        container.remove(force=not short.started)
        self.shorts.remove(short)

    def _clear_short(self, client: docker.DockerClient) -> None:
        short = self.shorts[0]
        if self._gone(client, short.name, lambda container: self._end_short(container, short)):
            self.shorts.remove(short)

    def _clear_ticker(self, client: docker.DockerClient, ticker: Ticker) -> None:
        if not ticker.ended:
            self._check_alive(client.containers.get(ticker.name), ticker)
        ticker.ended = True
        if self._gone(client, ticker.name, lambda container: self._end_ticker(container, ticker)):
            self.tickers.remove(ticker)

    def _end_ticker(self, container: Container, ticker: Ticker) -> None:
        self.complaints += wrong_lines(ticker.name, container.logs().decode())
        container.remove(force=True)
        self.tickers.remove(ticker)
        try:
            container.reload()
        except NotFound:
            return
        self.complaints.append(f"{ticker.name} was removed and is there")

    def _gone(self, client: docker.DockerClient, name: str, end: Callable[[Container], None]) -> bool:
        """End it; true when it was gone: its create, or an earlier removal, had an outcome that nobody could know."""
        try:
            end(client.containers.get(name))
        except NotFound:
            return True
        except APIError as error:  # an earlier removal goes on in the engine's new life
            if error.status_code != 409 or "already in progress" not in str(error):
                raise
        return False

    def _exec(self, container: Container, ticker: Ticker) -> None:
        if container.status == "paused":
            container.unpause()
        code, output = container.exec_run(["sh", "-c", "echo inside; exit 3"])
        if code is not None and (code, output) != (3, b"inside\n") and CUT not in output:
            self.complaints.append(f"exec in {ticker.name}: {code} {output!r}")

    def _pause(self, container: Container, ticker: Ticker) -> None:
        if container.status != "paused":
            container.pause()
            container.reload()
            if container.status != "paused":
                self.complaints.append(f"{ticker.name} is {container.status} though it was paused")
        container.unpause()


def wrong_lines(name: str, log: str) -> Iterator[str]:
    """What is wrong with the numbers a ticker printed; one that was restarted counts anew."""
    expected = 0
    for line in log.splitlines():
        if line == "line 0":
            expected = 0
        if line != f"line {expected}":
            yield f"{name}: the log says {line!r} where line {expected} belongs"
            return
        expected += 1
