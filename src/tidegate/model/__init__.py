"""Pure entities and state machines: no clock, no I/O, no wire formats. Imports only ``spec`` and ``base``."""
