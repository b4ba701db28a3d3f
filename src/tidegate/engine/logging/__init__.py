"""What a container's ``LogConfig`` asks for, decided: options, tags, attributes, the local log and the remote one."""
