"""``--validate``: settings are decided upon and nothing is started."""

from pathlib import Path

import pytest

from tidegate.cli.main import main


@pytest.mark.parametrize("words", [["up"], ["gate", "--upstream", "unix:///run/docker.sock"]])
def test_settings_that_can_be_used_are_ok(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--validate", "--tlsverify"]) == 0
    assert capsys.readouterr().out == "configuration OK\n"


def test_what_cannot_be_used_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"bip": "172.20.0.9/16", "userland-proxy": true}')
    assert main(["up", "--validate", "--config-file", str(file)]) == 1
    assert "bip: '172.20.0.9/16' must be the first address" in capsys.readouterr().err
    file.write_text('{"userland-proxy": true}')
    assert main(["up", "--validate", "--config-file", str(file)]) == 0
    assert "userland-proxy: known to Docker, without effect here: published ports need" in capsys.readouterr().err
