"""The forwarder: a process that sends what stands in local logs to their remotes, and outlives the engine."""
