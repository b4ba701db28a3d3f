"""What containers mount, brought to where the runtime finds it."""
