"""Completion of the command line in shells, made from the argument parsers themselves.

- ``tree``: what may be typed, read off the parsers.
- ``shells``: the same as a script for bash, zsh or fish; pure.
- ``completion_command``: ``tidegate completion SHELL``.
"""
