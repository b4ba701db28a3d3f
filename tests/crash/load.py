"""A mixed load on an engine that keeps dying, and what each client may conclude from the answers it got.

A request whose connection broke has an unknown outcome. An answer is a promise: what it said holds after any crash.
"""

import random
import threading
from dataclasses import dataclass, field

import docker
import requests
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from urllib3.exceptions import HTTPError

TICKER = "trap 'exit 5' TERM; i=0; while true; do echo line $i; i=$((i+1)); sleep 0.1; done"
MOST_UNKNOWN = 2
CONNECTION_LOST = (requests.exceptions.RequestException, HTTPError, OSError, ValueError)


@dataclass
class Ticker:
    """A container that prints numbered lines; ``pid`` since its start was answered, 0 before."""

    name: str
    pid: int = 0
    ended: bool = False  # asked to end, or with an unknown outcome


@dataclass
class Client:
    """One thread of the load. ``complaints`` are promises the engine broke."""

    number: int
    seed: int
    new_client: "type[docker.DockerClient] | object"
    stop: threading.Event
    complaints: list[str] = field(default_factory=list)
    tickers: list[Ticker] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=dict)
    created: int = 0

    def run(self) -> None:
        """Until ``stop``."""
        chance = random.Random(self.seed)
        while not self.stop.is_set():
            client = self.new_client()  # type: ignore[operator]
            try:
                while not self.stop.is_set():
                    self._one(client, chance)
            except APIError as error:
                self.complaints.append(f"client {self.number}: {error}")
            except CONNECTION_LOST:
                self.stop.wait(0.02)
            finally:
                client.close()

    def _one(self, client: docker.DockerClient, chance: random.Random) -> None:
        living = [ticker for ticker in self.tickers if not ticker.ended]
        self._remove_unknown(client)
        if len(living) < 2:
            return self._count("start", self._start_ticker(client, chance))
        ticker = chance.choice(living)
        match chance.choices(["run", "exec", "logs", "pause", "stop", "remove", "restart"], [30, 20, 10, 10, 8, 8, 4])[
            0
        ]:
            case "run":
                self._count("run", self._run_short(client, chance))
            case "exec":
                self._count("exec", self._exec(client, ticker))
            case "logs":
                client.containers.get(ticker.name).logs(tail=5)
                self._count("logs", None)
            case "pause":
                self._count("pause", self._pause(client, ticker))
            case "restart":
                self._count("restart", self._restart(client, ticker))
            case "stop":
                ticker.ended = True
                client.containers.get(ticker.name).stop(timeout=5)
                self._count("stop", self._expect_ended(client, ticker))
            case _:
                ticker.ended = True
                client.containers.get(ticker.name).remove(force=True)
                self._count("remove", self._expect_gone(client, ticker))

    def _remove_unknown(self, client: docker.DockerClient) -> None:
        """What a broken request may have left running would only load the machine more with each kill."""
        unknown = [ticker for ticker in self.tickers if ticker.ended]
        for ticker in unknown[: max(0, len(unknown) - MOST_UNKNOWN)]:
            try:
                client.containers.get(ticker.name).remove(force=True)
            except APIError as error:
                if error.status_code not in (404, 409):  # it never came to be, or its removal goes on already
                    raise
            self.tickers.remove(ticker)

    def _count(self, what: str, _none: None) -> None:
        self.done[what] = self.done.get(what, 0) + 1

    def _name(self) -> str:
        self.created += 1
        return f"c{self.number}-{self.created}"

    def _start_ticker(self, client: docker.DockerClient, chance: random.Random) -> None:
        ticker = Ticker(self._name(), ended=True)
        self.tickers.append(ticker)
        options: dict[str, object] = {"ports": {"80/tcp": None}} if chance.random() < 0.5 else {"network_mode": "none"}
        container = client.containers.create("busybox", ["sh", "-c", TICKER], name=ticker.name, **options)
        container.start()
        # The start was answered: from here on it must run.
        ticker.ended = False
        container.reload()
        self._check_pid(container, ticker)

    def _check_pid(self, container: Container, ticker: Ticker) -> None:
        state = container.attrs["State"]
        if state["Status"] not in ("running", "paused"):
            self.complaints.append(f"{ticker.name} is {state['Status']} ({state['ExitCode']}) though nobody ended it")
        elif ticker.pid and state["Pid"] != ticker.pid:
            self.complaints.append(f"{ticker.name} changed its process from {ticker.pid} to {state['Pid']}")
        ticker.pid = state["Pid"]

    def _run_short(self, client: docker.DockerClient, chance: random.Random) -> None:
        code = chance.randrange(1, 100)
        name = self._name()
        script = f"echo begin {name}; sleep {chance.choice(['0', '0.1', '0.3'])}; echo end {name}; exit {code}"
        options = {"network_mode": chance.choice(["none", "bridge"])}
        container = client.containers.create("busybox", ["sh", "-c", script], name=name, **options)
        container.start()
        try:
            answered = container.wait(timeout=30)["StatusCode"]
        except CONNECTION_LOST:
            return  # it is looked at when the load has ended
        if answered != code:
            self.complaints.append(f"{name} exited with {answered}, not {code}")
        logged = container.logs().decode()
        if logged != f"begin {name}\nend {name}\n":
            self.complaints.append(f"{name} logged {logged!r}")
        container.remove()

    def _exec(self, client: docker.DockerClient, ticker: Ticker) -> None:
        container = client.containers.get(ticker.name)
        self._check_pid(container, ticker)
        if container.status == "paused":
            container.unpause()
        code, output = container.exec_run(["sh", "-c", "echo inside; exit 3"])
        if code is not None and (code, output) not in ((3, b"inside\n"), (3, b"")):
            self.complaints.append(f"exec in {ticker.name}: {code} {output!r}")

    def _pause(self, client: docker.DockerClient, ticker: Ticker) -> None:
        container = client.containers.get(ticker.name)
        self._check_pid(container, ticker)
        if container.status == "paused":
            container.unpause()
        else:
            container.pause()
            container.reload()
            if container.status != "paused":
                self.complaints.append(f"{ticker.name} is {container.status} though it was paused")
            container.unpause()

    def _restart(self, client: docker.DockerClient, ticker: Ticker) -> None:
        ticker.ended, ticker.pid = True, 0
        container = client.containers.get(ticker.name)
        container.restart(timeout=5)
        ticker.ended = False
        container.reload()
        self._check_pid(container, ticker)

    def _expect_ended(self, client: docker.DockerClient, ticker: Ticker) -> None:
        state = client.containers.get(ticker.name).attrs["State"]
        if (state["Status"], state["ExitCode"]) not in (("exited", 5), ("exited", 137)):
            self.complaints.append(f"{ticker.name} was stopped and is {state['Status']} ({state['ExitCode']})")

    def _expect_gone(self, client: docker.DockerClient, ticker: Ticker) -> None:
        try:
            client.containers.get(ticker.name)
        except NotFound:
            return
        self.complaints.append(f"{ticker.name} was removed and is there")
