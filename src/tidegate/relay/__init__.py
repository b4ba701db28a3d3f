"""The relay process: carries what comes to a published port on an IPv6 address to a container that has IPv4 only.

The kernel leads published ports where it can (``drivers/bridge/ruleset``); from one family of addresses to the other it
cannot, nor from ``::1`` to anywhere. Standard library only; started by ``drivers/bridge/port_relay`` when the first
such port is published, in a session of its own, so that it outlives the engine; it ends when the last one is withdrawn.
"""
