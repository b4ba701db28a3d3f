"""The engine's Docker HTTP API: from a parsed request to one service call and back.

- ``pipeline``: the path of one request, read from top to bottom.
- ``profile``: the API version a client speaks, and the only place that compares versions.
- ``errors``: kinds of error to status and body.
- ``handlers``: typed arguments, one service call, a view or a stream.
- ``views``: what the wire shows of an entity; pure.
"""
