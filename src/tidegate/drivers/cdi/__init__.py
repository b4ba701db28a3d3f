"""Devices that the host describes in files (Container Device Interface), and what a container gets of them."""
