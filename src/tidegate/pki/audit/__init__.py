"""The audit at rest: its files, and the key that vouches for them."""
