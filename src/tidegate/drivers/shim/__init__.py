"""The engine's side of the supervisor (``tidegate.shim``)."""
