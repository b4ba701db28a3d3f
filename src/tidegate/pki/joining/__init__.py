"""How a machine that holds nothing yet becomes a client."""
