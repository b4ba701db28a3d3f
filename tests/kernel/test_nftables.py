"""One call of libnftables is one transaction."""

import pytest
from tests.kernel.fresh_netns import in_fresh_netns

from tidegate.base.errors import InternalError
from tidegate.kernel.network.nftables import Nftables


def test_commands_are_applied_all_or_none_and_refused_with_the_librarys_text() -> None:
    def body() -> None:
        firewall = Nftables()
        with pytest.raises(InternalError, match="No such file or directory"):
            firewall.run("add table ip one\nadd element ip one nowhere { 1 }")
        assert firewall.query("list tables") == []
        with pytest.raises(InternalError, match="syntax error"):
            firewall.run("frobnicate")
        firewall.run("add table ip one\nadd set ip one ports { type inet_service; elements = { 80 }; }")
        assert [entry["table"]["name"] for entry in firewall.query("list tables")] == ["one"]
        assert "elements = { 80 }" in firewall.run("list set ip one ports")
        firewall.close()
        firewall.close()
        with pytest.raises(InternalError, match="closed"):
            firewall.run("list tables")

    in_fresh_netns(body)
