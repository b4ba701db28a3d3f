"""``tidegate install`` and ``uninstall``: Tidegate as services of systemd.

- ``units``: the text of the units; pure.
- ``plan``: which files are wanted, and what becomes of what is there; pure.
- ``record``: what was installed, which is all that is ever taken away.
- ``install_command``, ``uninstall_command``: look, decide, do.
"""
