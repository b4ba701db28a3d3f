"""seccomp profiles, compiled; and the filters of the gate's own processes."""
