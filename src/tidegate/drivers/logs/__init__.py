"""Container logs on disk: how they are read, what is planned for them, and how they go to remotes."""
