"""The shim's command line, which its engine writes: pairs, and nothing it does not know."""

import pytest

from tidegate.shim.__main__ import read_options


def test_pairs_are_read() -> None:
    words = ["--root", "/run/x", "--stall-limit", "0.5"]
    assert read_options(words) == {"--root": "/run/x", "--stall-limit": "0.5"}


@pytest.mark.parametrize(
    "words", [[], ["--root"], ["--spares", "3"], ["--root", "/x", "--colour", "red"], ["--root", "/x", "--spares"]]
)
def test_anything_else_ends_it(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        read_options(words)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: tidegate.shim --root DIR")
