"""How much a client's containers may take together, and how often it may ask."""
