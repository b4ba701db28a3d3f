"""The log of our processes, as text and as JSON."""

import json
import logging
import re
from collections.abc import Iterator

import pytest

from tidegate.base.logs import configure_log, set_level


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def test_json_has_fields(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log("engine", "info", "json")
    log = logging.getLogger("tidegate.test")
    log.debug("not shown")
    log.warning("container %s is stuck", "c1", extra={"fields": {"container": "c1"}})
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("failed\nbadly")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "warn", "msg": "container c1 is stuck", "process": "engine", "logger": "tidegate.test",
        "container": "c1",
    }  # fmt: skip
    assert (second["level"], second["msg"]) == ("error", "failed\nbadly")
    assert "ValueError: no" in second["error"]


def test_text_is_a_line_with_time_and_process(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log("gate", "warn", "text")
    log = logging.getLogger("tidegate.test")
    log.info("not shown")
    set_level("info")
    log.info("shown")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d [0-9:,]+ gate shown\n", capsys.readouterr().err)
