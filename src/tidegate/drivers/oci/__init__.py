"""From settings to what the OCI runtime is told."""
