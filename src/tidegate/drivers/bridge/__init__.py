"""The bridge network: interfaces, addresses, rules, published ports."""
