"""Error kinds, ids, clock, task and process helpers: what every layer may use. Imports nothing of Tidegate."""
