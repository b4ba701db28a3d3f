"""What a container shares with the host or with other containers, and what keeps it from the rest."""
