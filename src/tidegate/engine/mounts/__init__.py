"""What a container mounts: as clients may ask for it, and as it was decided. Pure."""
