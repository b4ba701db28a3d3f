"""``tidegate doctor``: a host, or a way to an engine, looked at as an attacker or a baffled user would.

- ``findings``: what is found, and the report.
- ``host``: processes and files of the host; the only place that knows where they are.
- ``listeners``, ``probe``: who listens on TCP, and what answers there to a stranger.
- ``sockets``: unix sockets that lead to an engine, and who may open them.
- ``engines``, ``benchmark``: how engines were started, and the CIS Docker Benchmark's rows about that.
- ``containers``: what engines run that owns the host.
- ``certificates``, ``clients``, ``audits``: keys and certificates on disk, clients that never came, our own audits.
- ``connection``, ``explain``: a connection tried as a client, and one line that says how to mend it.

Nothing is changed, no container is started, and nothing leaves the host but to the address that ``--connect`` names.
"""
