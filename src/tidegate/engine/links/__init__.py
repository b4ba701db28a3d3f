"""How a container knows others by name: links (``--link db:alias``), and what clients say of names."""
