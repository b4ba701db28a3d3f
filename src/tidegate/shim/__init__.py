"""The supervisor process of containers: holds their stdio, writes their logs, keeps their exit codes.

Standard library only, no asyncio; started as ``python -I -S -m tidegate.shim --root DIR``. It listens on
``DIR/control.sock``: one JSON object a line (``protocol``), or a first line ``{"op": "attach", ...}`` after which the
connection carries the streams of one process.
"""
