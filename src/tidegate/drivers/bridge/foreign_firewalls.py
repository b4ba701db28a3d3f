"""Chains of others that drop what is forwarded, as dockerd and ufw leave FORWARD.

Accepting in our own table cannot undo that: every base chain of the hook has to accept.

- Where Docker made the chain, ours is accepted in DOCKER-USER, the place that Docker keeps for rules of others; what
  may come to a container is still decided in our own table. Rules are of a form that iptables-nft can show and keep.
- A chain that somebody else set is theirs: it is named as an obstacle, and left alone.
- Chains of iptables-legacy are not seen here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tidegate.drivers.bridge.ruleset import table_name
from tidegate.kernel.network.nftables import Nftables

USER_CHAIN = "DOCKER-USER"


class Obstacle(msgspec.Struct, frozen=True):
    """A base chain at the forward hook with the policy ``drop``; ``has_user_chain`` tells Docker's."""

    family: str
    table: str
    chain: str
    has_user_chain: bool

    def __str__(self) -> str:
        return f"chain {self.chain} of table {self.family} {self.table}"


def find_obstacles(chains: Sequence[Mapping[str, Any]]) -> Sequence[Obstacle]:
    """Of the chains that ``list chains`` shows."""
    places = {(each["family"], each["table"], each["name"]) for each in chains}
    return [
        Obstacle(each["family"], each["table"], each["name"], (each["family"], each["table"], USER_CHAIN) in places)
        for each in chains
        if each.get("hook") == "forward" and each.get("policy") == "drop" and each["family"] in ("ip", "inet")
    ]


def make_way(firewall: Nftables, bridge: str) -> Sequence[str]:
    """Accept the bridge's traffic where Docker drops it; returns the obstacles that are left, in words.

    Raises InternalError.
    """
    left = []
    for obstacle in find_obstacles([entry["chain"] for entry in firewall.query("list chains")]):
        if not obstacle.has_user_chain:
            left.append(
                f"{obstacle} drops what it does not know: accept what comes from and goes to {bridge} there, or "
                "containers reach nothing beyond this host, and published ports are reached from this host only"
            )
        elif not _is_accepted(firewall, obstacle, bridge):
            firewall.run(render_way(obstacle, bridge))
    return left


def render_way(obstacle: Obstacle, bridge: str) -> str:
    """Commands that put the two rules before all others."""
    place = f"{obstacle.family} {obstacle.table} {USER_CHAIN}"
    rules = [f'{direction} "{bridge}" counter accept' for direction in ("iifname", "oifname")]
    return "\n".join(f'insert rule {place} {rule} comment "{table_name(bridge)}"' for rule in rules)


def close_way(firewall: Nftables, bridge: str) -> None:
    """Take the rules away, for an uninstall; none is success. Raises InternalError."""
    for obstacle in find_obstacles([entry["chain"] for entry in firewall.query("list chains")]):
        if obstacle.has_user_chain:
            place = f"{obstacle.family} {obstacle.table} {USER_CHAIN}"
            for rule in _own_rules(firewall, obstacle, bridge):
                firewall.run(f"delete rule {place} handle {rule['handle']}")


def _is_accepted(firewall: Nftables, obstacle: Obstacle, bridge: str) -> bool:
    return len(_own_rules(firewall, obstacle, bridge)) == 2


def _own_rules(firewall: Nftables, obstacle: Obstacle, bridge: str) -> Sequence[Mapping[str, Any]]:
    listed = firewall.query(f"list chain {obstacle.family} {obstacle.table} {USER_CHAIN}")
    rules = [entry["rule"] for entry in listed if "rule" in entry]
    return [rule for rule in rules if rule.get("comment") == table_name(bridge)]
