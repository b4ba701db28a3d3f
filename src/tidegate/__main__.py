"""``python -m tidegate``: the same as the ``tidegate`` command."""

import sys

from tidegate.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
