# SPDX-License-Identifier: Apache-2.0
"""Queues whose objects are acknowledged: skep.Queue(acknowledge=True).

Who takes an object has it until he acknowledges it.  If his process dies before, or he rejects it, another gets it, before
all else in the queue.  How often one object is delivered may be limited: after that it is a dead letter, which stays with the queue
until dead_letters() has given it to somebody who acknowledges it.  So each object is delivered at least once, and nothing is
dropped in silence.

    with queue.take() as delivery:      # acknowledged at the end, rejected on an exception
        work(delivery.object)

    work(queue.get())                   # as of any queue
    queue.acknowledge()                 # all that this thread has got and not acknowledged
"""
import threading

from queue import Empty

from . import _core
from ._core import Delivery
from .hive import default_hive
from .queues import Queue

__all__ = ['AcknowledgedQueue', 'Delivery']


class AcknowledgedQueue(Queue):
    """A Queue whose objects are taken until they are acknowledged.

    maxsize counts what is in the queue, not what has been taken.  deliveries: how often an object is delivered at most; 0: any number.
    An object that pickle cannot load is rejected, and the exception raised.  A thread that ends rejects what it has got.
    Within asyncio use atake(): several tasks of one thread share what acknowledge() means.
    """

    def __init__(self, maxsize=0, *, deliveries=0, ctx=None):
        _core.Queue.__init__(self, default_hive(), maxsize, None, True, deliveries)

    def take(self, block=True, timeout=None):
        """A Delivery: `object`, `count` (which try it is), acknowledge(), reject(), for `with`.  queue.Empty as of get()."""
        return Delivery.take(self, block, timeout)

    async def atake(self):
        """take() for a task of asyncio: others run while it waits."""
        while True:
            try:
                return self.take(False)
            except Empty:
                await self._wait_in_loop(self.fileno())

    def _got(self):
        """What this thread has got and not acknowledged."""
        local = self.__dict__.get('_skep_local') or self.__dict__.setdefault('_skep_local', threading.local())
        return local.__dict__.setdefault('deliveries', [])

    def get(self, block=True, timeout=None):
        """As of Queue; acknowledge() says that it is done with."""
        delivery = self.take(block, timeout)
        self._got().append(delivery)
        return delivery.object

    def get_nowait(self):
        """get(block=False)."""
        return self.get(False)

    def get_many(self, max, /, block=True, timeout=None):
        """As of Queue; acknowledge() says that all are done with."""
        if max < 1:
            raise ValueError('max must be at least 1')
        objects = [self.get(block, timeout)]
        try:
            while len(objects) < max:
                objects.append(self.get(False))
        except Exception:  # empty, or what is wrong will be met by the next call
            pass
        return objects

    def acknowledge(self):
        """All that this thread has got is done with.  ValueError: there is nothing to acknowledge."""
        self._finish(Delivery.acknowledge)

    def reject(self):
        """All that this thread has got goes back.  ValueError: there is nothing to reject."""
        self._finish(Delivery.reject)

    def _finish(self, how):
        got = self._got()
        if not got:
            raise ValueError('nothing was got that is not acknowledged')
        while got:
            how(got.pop(0))

    def dead_letters(self):
        """Deliveries of the dead letters that there are now; each leaves when it is acknowledged, and stays if it is rejected.

        What cannot be loaded has None as `object`, and the exception as `error`.
        """
        letters = []
        try:
            while True:
                letters.append(Delivery.take_dead(self))
        except Empty:
            return letters
