"""The units of systemd: engine and gate apart, and a target that means both. Pure.

- What confines the engine would confine the containers, which inherit it (a seccomp filter, no_new_privs) or whose
  mounts are made from what the engine sees (ProtectSystem, PrivateTmp). It is therefore not confined, and says so.
- Containers and their supervisor live in the engine's unit and outlive it: KillMode=process, a kept runtime directory.
- The gate's own process is root, as it signs with the CA's key and connects its workers to the engine; it keeps the
  capabilities for that alone. The workers, which speak to strangers, give up root and filter themselves further.

Source: systemd.service(5), systemd.exec(5), systemd.resource-control(5).
"""

from pathlib import Path

import msgspec

ENGINE, GATE, TARGET = "tidegate-engine.service", "tidegate-gate.service", "tidegate.target"
WATCHDOG_S = 60
ENVIRONMENT_FILE = "/etc/default/tidegate"
_STATE, _RUNTIME = Path("/var/lib"), Path("/run")
_CAPABILITIES = (
    "CAP_SETUID", "CAP_SETGID",  # workers become nobody
    "CAP_KILL",  # and are ended
    "CAP_CHOWN",  # a socket may be a group's
    "CAP_SYS_CHROOT",  # the decoy
    "CAP_NET_BIND_SERVICE",
)  # fmt: skip
_GATE_CONFINED = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service chroot seccomp",  # seccomp: workers filter themselves further
    "SystemCallErrorNumber=EPERM",
    f"CapabilityBoundingSet={' '.join(_CAPABILITIES)}",
)


class UnitFacts(msgspec.Struct, frozen=True):
    """``program`` is how Tidegate is called. ``writable`` is what the gate writes to beside the two roots.

    ``needs_home``: the program lies below a home directory, which is otherwise hidden from the gate.
    """

    program: tuple[str, ...]
    config_file: Path
    data_root: Path
    exec_root: Path
    writable: tuple[Path, ...] = ()
    needs_home: bool = False


def units(facts: UnitFacts) -> dict[str, str]:
    """Their texts by name."""
    return {ENGINE: _engine(facts), GATE: _gate(facts), TARGET: _target()}


def _target() -> str:
    return _text(
        ["[Unit]", "Description=Tidegate: engine and gate", f"Wants={ENGINE} {GATE}"],
        ["[Install]", "WantedBy=multi-user.target"],
    )


def _engine(facts: UnitFacts) -> str:
    return _text(
        [
            "[Unit]",
            "Description=Tidegate engine",
            "# A firewall that begins by forgetting all rules comes first.",
            "After=network-online.target nftables.service firewalld.service",
            "Wants=network-online.target",
            f"PartOf={TARGET}",
            "StartLimitIntervalSec=60",
            "StartLimitBurst=10",
        ],
        [
            "[Service]",
            *_served(facts, "engine"),
            "TimeoutStartSec=infinity",
            "TimeoutStopSec=120",
            "# Containers and their supervisor live on while the engine is stopped, restarted or upgraded.",
            "KillMode=process",
            "Delegate=yes",
            "TasksMax=infinity",
            "LimitNPROC=infinity",
            "LimitCORE=infinity",
            "# The engine raises its own; containers begin with the first number.",
            "LimitNOFILE=1024:1048576",
            *_directories(facts),
            "# Nothing here protects the host from the engine: it would be inherited by containers, or seen in their",
            "# mounts. They are confined one by one; who may ask for what is decided by the gate.",
        ],
    )


def _gate(facts: UnitFacts) -> str:
    outside = [path for path in (facts.data_root, facts.exec_root) if not _directory(path)]
    written = [f"ReadWritePaths={_word(str(path))}" for path in (*outside, *facts.writable)]
    return _text(
        [
            "[Unit]",
            "Description=Tidegate gate: the Docker Engine API over mutual TLS",
            f"After=network-online.target {ENGINE}",
            f"Wants=network-online.target {ENGINE}",
            f"PartOf={TARGET}",
            "StartLimitIntervalSec=60",
            "StartLimitBurst=10",
        ],
        [
            "[Service]",
            *_served(facts, "gate"),
            "TimeoutStopSec=60",
            "LimitNOFILE=1048576",
            *_directories(facts),
            *written,
            f"ProtectHome={'read-only' if facts.needs_home else 'yes'}",
            *_GATE_CONFINED,
        ],
    )


def _served(facts: UnitFacts, command: str) -> list[str]:
    words = [*facts.program, command, "--config-file", str(facts.config_file)]
    flags = f"TIDEGATE_{command.upper()}_FLAGS"
    return [
        "Type=notify",
        "NotifyAccess=main",
        f"# {flags}: what the settings file has no key for.",
        f"Environment={flags}=",
        f"EnvironmentFile=-{ENVIRONMENT_FILE}",
        f"ExecStart={' '.join(_word(word) for word in words)} ${flags}",
        'ExecReload=/bin/sh -c "kill -HUP ${MAINPID}"',  # kill(1) is not on every host
        "Restart=always",
        "RestartSec=1",
        f"WatchdogSec={WATCHDOG_S}",
    ]


def _directories(facts: UnitFacts) -> list[str]:
    """Both services make them, whichever starts first, and neither takes them away."""
    lines = []
    if state := _directory(facts.data_root):
        lines += [f"StateDirectory={_word(state)}", "StateDirectoryMode=0710"]
    if runtime := _directory(facts.exec_root):
        lines += [f"RuntimeDirectory={_word(runtime)}", "RuntimeDirectoryMode=0711", "RuntimeDirectoryPreserve=yes"]
    return lines


def _directory(path: Path) -> str:
    """Relative to where systemd keeps such; "" for a path elsewhere."""
    for parent in (_STATE, _RUNTIME):
        if path.is_relative_to(parent) and path != parent:
            return str(path.relative_to(parent))
    return ""


def _word(text: str) -> str:
    """As one word of a unit, where ``%`` and ``$`` mean something."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(each in text for each in " \t'\"\\;") else escaped


def _text(*sections: list[str]) -> str:
    return "# Made by `tidegate install`.\n\n" + "\n\n".join("\n".join(lines) for lines in sections) + "\n"
