"""``tidegate client``."""
