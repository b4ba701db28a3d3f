"""Documents and notations of the Docker Engine API: pure, frozen, importing nothing but ``base``."""
