"""What fits the ports of ``engine/ports.py`` on a real host. Foreign errors become kinds of ``base.errors`` here."""
