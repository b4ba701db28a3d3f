"""The image service: records, archives, changes, commits."""
