"""Thin layers over Linux: system calls, netlink, nftables, namespaces. Policy lives in ``drivers``, never here."""
