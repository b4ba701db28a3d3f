"""Times as HTTP writes them (RFC 9110, section 5.6.7): always English, always GMT.

``email.utils`` writes them too, and costs each of three processes a third of a megabyte for it.
"""

import time

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date(unix_s: float) -> str:
    """As ``Sun, 06 Nov 1994 08:49:37 GMT``; fractions of a second are dropped."""
    at = time.gmtime(unix_s)
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {_MONTHS[at.tm_mon - 1]} {at.tm_year:04} {clock} GMT"
