"""An engine without plugins: the list is empty, and what is asked of one is answered as of one that is not there."""

import asyncio
import json

import pytest

from tidegate.api.handlers import plugins
from tidegate.api.pipeline import Api
from tidegate.http.messages import Request, Response

API = Api(plugins.handlers())


def ask(method: str, target: str) -> tuple[int, object]:
    answer = asyncio.run(API.handle(Request(method, target)))
    assert isinstance(answer, Response)
    assert isinstance(answer.body, bytes)
    return answer.status, json.loads(answer.body)


def test_there_are_none() -> None:
    assert ask("GET", "/plugins") == (200, [])
    assert ask("GET", '/plugins?filters={"enabled":["true"],"capability":["volumedriver"]}') == (200, [])


@pytest.mark.parametrize(
    ("filters", "complaint"),
    [('{"name":["x"]}', "invalid filter 'name'"), ('{"enabled":["perhaps"]}', "invalid filter 'enabled=[perhaps]'")],
)
def test_a_filter_that_says_nothing_is_refused(filters: str, complaint: str) -> None:
    status, answer = ask("GET", f"/plugins?filters={filters}")
    assert (status, answer) == (400, {"message": complaint})


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/plugins/vieux/sshfs:latest/json"),
        ("DELETE", "/plugins/vieux/sshfs:latest"),
        ("POST", "/plugins/vieux/sshfs:latest/enable?timeout=0"),
        ("POST", "/plugins/vieux/sshfs:latest/disable"),
        ("POST", "/plugins/vieux/sshfs:latest/set"),
    ],
)
def test_one_that_is_named_is_not_found(method: str, target: str) -> None:
    assert ask(method, target) == (404, {"message": 'plugin "vieux/sshfs:latest" not found'})
