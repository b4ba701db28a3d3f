"""The audit as a document: lines, what is in them, and the walk that finds what was done to them."""
