"""Files of containers: read, written, exported and compared by confined children."""
