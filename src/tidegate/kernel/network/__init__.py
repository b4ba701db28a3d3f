"""Links, addresses, rules and tracked connections: netlink and nftables."""
