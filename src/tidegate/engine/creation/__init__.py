"""From what a client asks to a container that can be made."""
