"""Registries: pulling over the distribution API."""
