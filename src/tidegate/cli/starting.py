"""What ``tidegate up``, ``engine`` and ``gate`` begin with, once their configuration is decided."""

import logging
import os

from tidegate.base.errors import InvalidParameterError
from tidegate.base.logs import configure_log
from tidegate.cli.up_settings import log_format, log_level
from tidegate.daemon.config import DaemonConfig

_log = logging.getLogger("tidegate")


def begin_as_root(config: DaemonConfig, why: str) -> None:
    """Log as configured, beginning with what the configuration warns of. Raises InvalidParameterError but for root;
    ``why`` says what that is needed for.
    """
    if os.geteuid() != 0:
        raise InvalidParameterError(why)
    configure_log("tidegate", log_level(config.settings), log_format(config.settings))
    for warning in config.warnings:
        _log.warning("%s", warning)
