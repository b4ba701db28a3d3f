"""How the load clients read answers."""

from bench.gate_load import unchunked


def test_chunks_are_joined() -> None:
    assert unchunked(b"3\r\n[1,\r\n3\r\n22]\r\n0\r\n\r\n") == b"[1,22]"
    assert unchunked(b'{"Id": "a"}\n') == b'{"Id": "a"}\n'
