# SPDX-License-Identifier: Apache-2.0
"""Tasks of an asyncio loop that wait until a descriptor is readable, many for the same one."""
import asyncio
import collections

__all__ = ()


class Waiters:
    """Those of one loop and one descriptor, woken in their order, one at each look of the loop.

    Each looks for himself and may find nothing, as another process was quicker.  While the descriptor stays readable the
    next one is woken, so what a cancelled one leaves is another's.
    """

    def __init__(self, loop, fd):
        self._loop = loop
        self._fd = fd
        self._futures = collections.deque()

    def __bool__(self):
        return bool(self._futures)

    async def wait(self):
        """Until woken.  Cancelled: no more in the row."""
        future = self._loop.create_future()
        if not self._futures:
            self._loop.add_reader(self._fd, self._wake_one)
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:
                self._futures.remove(future)
                self._rest()

    def _rest(self):
        if not self._futures:
            self._loop.remove_reader(self._fd)

    def _wake_one(self):
        future = self._futures.popleft()
        self._rest()
        if not future.done():
            future.set_result(None)

    def _wake_all(self):
        while self._futures:
            self._wake_one()

    def wake_all(self):
        """From any thread: let all look again."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake_all)
