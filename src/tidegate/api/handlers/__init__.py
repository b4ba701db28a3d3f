"""Handlers by noun: typed arguments, one service call, a view or a stream."""
