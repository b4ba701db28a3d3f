"""Tidegate: a Docker-compatible container engine behind mutual TLS on port 2376."""

__version__ = "0.1.0"
