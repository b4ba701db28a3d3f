"""Links (``--link db:alias``): how a container on the default bridge knows another one by name."""
