from email.utils import formatdate

import pytest

from tidegate.http.dates import http_date


@pytest.mark.parametrize("unix_s", [0, 784111777, 951782400, 1e9 + 0.9, 2**31, 4102444799, 253402300799])
def test_times_are_written_as_the_standard_library_does(unix_s: float) -> None:
    assert http_date(unix_s) == formatdate(unix_s, usegmt=True)


def test_the_example_of_the_standard() -> None:
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"
