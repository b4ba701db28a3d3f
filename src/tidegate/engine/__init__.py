"""Use cases of the engine: services, the container actor and the ports that drivers fit."""
