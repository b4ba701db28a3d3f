"""Root filesystems: layers unpacked, overlays mounted, and what is left of them deleted."""
