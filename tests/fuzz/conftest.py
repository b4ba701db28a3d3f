"""What the fuzz tests share."""

from collections.abc import Iterator

import pytest
from tests.fuzz.go_reader import GoReader


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GoReader]:
    """Compiled once; only for tests that are skipped where no Go is."""
    reader = GoReader(tmp_path_factory.mktemp("go"))
    yield reader
    reader.close()
