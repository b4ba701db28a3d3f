"""The remotes of log drivers: what they are sent, and how."""
