"""The audit of a gate worker: from a decision to a line that is written before it counts."""
