"""Control groups of version 1, hybrid and 2."""
