"""HTTP/1.1 over unix sockets, TCP and mutual TLS: server, client, connection take-over. Knows nothing of Docker."""
