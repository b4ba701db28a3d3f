"""The commands that people type. ``main`` finds the command; its module is imported only then."""
