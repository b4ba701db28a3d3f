"""The engine process's composition root: configuration, wiring, boot recovery, shutdown."""
