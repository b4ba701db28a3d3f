"""Instructions that alter an image's configuration."""

import pytest

from tidegate.base.errors import InvalidParameterError
from tidegate.spec.changes import apply_changes


def test_every_instruction_changes_its_own_field() -> None:
    changed = apply_changes(
        {"Env": ["A=1", "B=2"], "WorkingDir": "/srv"},
        [
            'CMD ["sh", "-c", "x"]',
            "entrypoint run me",
            'ENV A=3 C="two words"',
            "EXPOSE 80 53/udp",
            "LABEL k=v",
            "USER app",
            "VOLUME /data /logs\nWORKDIR sub",
            "STOPSIGNAL SIGINT",
        ],
    )
    assert changed == {
        "Env": ["A=3", "B=2", "C=two words"],
        "WorkingDir": "/srv/sub",
        "Cmd": ["sh", "-c", "x"],
        "Entrypoint": ["/bin/sh", "-c", "run me"],
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"k": "v"},
        "User": "app",
        "Volumes": {"/data": {}, "/logs": {}},
        "StopSignal": "SIGINT",
    }


def test_the_old_form_of_env_takes_the_rest_of_the_line() -> None:
    assert apply_changes({}, ["ENV NAME some value"])["Env"] == ["NAME=some value"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("RUN x", "RUN is not a valid change command"),
        ("CMD", "CMD requires at least one argument"),
        ("ENV A=1 B", "'B' must be of the form"),
        ("EXPOSE http", "invalid containerPort: http"),
        ('LABEL a="b', "cannot read"),
    ],
)
def test_others_are_refused_by_name(change: str, complaint: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        apply_changes({}, [change])
    assert complaint in caught.value.message
