"""Traces as OpenTelemetry has them, for whoever sets its variables: what was asked, decided and done, and when.

- ``context``: whose child a piece of work is (W3C Trace Context).
- ``settings``: the standard variables.
- ``spans``: what is recorded, bounded.
- ``otlp``: the documents that a collector takes.

Sending them is ``http/trace_export``. ADR 15 tells why this is no library.
"""
