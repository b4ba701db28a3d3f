"""``userns-remap`` by files of subordinate ids."""

from pathlib import Path

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.daemon.subordinate_ids import parse_subordinate, resolve_id_mapping
from tidegate.engine.isolation.user_namespaces import IdMapping, IdRange


def etc(tmp_path: Path, subuid: str, subgid: str | None = None) -> Path:
    (tmp_path / "subuid").write_text(subuid)
    (tmp_path / "subgid").write_text(subuid if subgid is None else subgid)
    return tmp_path


def test_users_and_groups_by_name_and_number(tmp_path: Path) -> None:
    files = etc(tmp_path, "root:1000:5\n# comment\nother:1:1\n0:3000:7\nroot:x:1\n", "root:2000:9\ndaemon:5000:1\n")
    uids, gids = (IdRange(0, 1000, 5), IdRange(5, 3000, 7)), (IdRange(0, 2000, 9),)
    assert resolve_id_mapping("", files) is None
    assert resolve_id_mapping("root", files) == IdMapping(uids, gids)
    assert resolve_id_mapping("0:0", files) == IdMapping(uids, gids)
    assert resolve_id_mapping("root:daemon", files) == IdMapping(uids, (IdRange(0, 5000, 1),))


def test_the_default_is_written_down_once(tmp_path: Path) -> None:
    files = etc(tmp_path, "someone:100000:65536\nhigh:400000:10", "")
    wanted = IdMapping((IdRange(0, 400010, 65536),), (IdRange(0, 100000, 65536),))
    for _ in range(2):
        assert resolve_id_mapping("default", files) == wanted
    assert (tmp_path / "subuid").read_text() == "someone:100000:65536\nhigh:400000:10\ndockremap:400010:65536\n"
    assert (tmp_path / "subgid").read_text() == "dockremap:100000:65536\n"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("nobody-of-that-name", "there is no user 'nobody-of-that-name'"),
        ("root:no-such-group", "there is no group 'no-such-group'"),
        ("root", "no subuid ranges found for 'root'"),
        ("987654321", "there is no user '987654321'"),
    ],
)
def test_who_has_no_ids_is_told(tmp_path: Path, asked: str, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"userns-remap: {words}"):
        resolve_id_mapping(asked, etc(tmp_path, ""))


def test_malformed_lines_are_passed_over() -> None:
    assert parse_subordinate("a:1\na:b:c\na\n\na:5:0\na:7:2:3\na:9:1\n", ["a"]) == (IdRange(0, 9, 1),)
