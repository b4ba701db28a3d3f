"""Tidegate's own certificate authority: see ``authority`` for the layout on disk and the rules it keeps."""
