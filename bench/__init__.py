"""Tidegate measured beside Debian's dockerd, in one run on one machine (``make bench``)."""
