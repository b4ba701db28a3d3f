"""What puts Docker's events of one kind of object on the bus (``engine/events.py``), with the attributes they have."""
