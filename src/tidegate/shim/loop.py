"""The event loop of the supervisor: descriptors, timers, and what to call when they are due. No callback blocks."""

import heapq
import itertools
import selectors
import sys
import time
from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE
Callback = Callable[[int], None]


class Loop:
    """A level-triggered selector; one callback a descriptor."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._masks: dict[int, int] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self.running = True

    def watch(self, fd: int, mask: int, callback: Callback) -> None:
        """Call ``callback(ready)`` while any of ``mask`` is ready; a mask of 0 stops that. Idempotent and cheap."""
        if self._masks.get(fd, 0) == mask:
            return
        if mask == 0:
            self._selector.unregister(fd)
            del self._masks[fd]
            return
        if fd in self._masks:
            self._selector.modify(fd, mask, callback)
        else:
            self._selector.register(fd, mask, callback)
        self._masks[fd] = mask

    def forget(self, fd: int) -> None:
        """Stop watching; must come before the descriptor is closed. Idempotent."""
        if self._masks.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call once, after the delay. There is no way to cancel: ``call`` looks whether it still matters."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._numbers), call))

    def run(self) -> None:
        """Serve until ``running`` is false. A failed callback is reported; the other containers are served on."""
        while self.running:
            due_in = self._timers[0][0] - time.monotonic() if self._timers else None
            if due_in is not None and due_in <= 0:
                heapq.heappop(self._timers)[2]()
                continue
            for key, ready in self._selector.select(due_in):
                if key.fd not in self._masks:
                    continue  # an earlier callback of this round closed it
                try:
                    key.data(ready)
                except OSError as error:
                    sys.stderr.write(f"tidegate shim: descriptor {key.fd}: {error}\n")
                    self.forget(key.fd)
