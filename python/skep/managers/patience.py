# SPDX-License-Identifier: Apache-2.0
"""In a manager's server: methods that wait, for clients that may die while they do, and locks, which the dead give back.

A method of a queue, lock, condition or event waits in slices and looks between them whether its client is still there: what a dead
one waits for goes to others.  A barrier cannot wait so: it is aborted when the client of one that waits is gone.

Which client holds which lock is noted.  A Lock or Semaphore belongs to the client's session and may be released by anybody; an
RLock or Condition belongs to the thread that serves the client's, and is released with it at the latest.
"""
import queue
import threading
import time

__all__ = ()

SLICE_SECONDS = 0.5


class ClientGone(Exception):
    """Nobody waits for the result any more."""


def _in_slices(client, attempt, failed, timeout):
    """attempt(seconds) until its result is not `failed`, or the time is over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        left = SLICE_SECONDS if deadline is None else deadline - time.monotonic()
        result = attempt(max(0, min(left, SLICE_SECONDS)))
        if result is not failed or deadline is not None and left <= SLICE_SECONDS:
            return result
        client.check()


_EMPTY = object()


# --- queues -----------------------------------------------------------------------------------------------------------------

def _get(obj, client, block=True, timeout=None):
    if not block or timeout is not None and timeout < 0:
        return obj.get(block, timeout)

    def attempt(seconds):
        try:
            return obj.get(True, seconds)
        except queue.Empty:
            return _EMPTY

    item = _in_slices(client, attempt, _EMPTY, timeout)
    if item is _EMPTY:
        raise queue.Empty
    client.undo = lambda: _put_back(obj, item)
    return item


def _put_back(obj, item):
    """As if it had never been taken."""
    with obj.mutex:
        if type(obj) is queue.Queue:
            obj.queue.appendleft(item)
        else:
            obj._put(item)
        obj.not_empty.notify()


def _put(obj, client, item, block=True, timeout=None):
    if not block or timeout is not None and timeout < 0:
        return obj.put(item, block, timeout)

    def attempt(seconds):
        try:
            return obj.put(item, True, seconds)
        except queue.Full:
            return _EMPTY

    if _in_slices(client, attempt, _EMPTY, timeout) is _EMPTY:
        raise queue.Full


def _join(obj, client):
    with obj.all_tasks_done:
        while obj.unfinished_tasks:
            obj.all_tasks_done.wait(SLICE_SECONDS)
            client.check()


# --- locks ------------------------------------------------------------------------------------------------------------------

def _acquire(take, owned):
    def acquire(obj, client, blocking=True, timeout=None):
        endless = timeout is None or timeout == -1
        if blocking and (endless or timeout >= 0):
            got = _in_slices(client, lambda seconds: take(obj, True, seconds), False, None if endless else timeout)
        else:
            got = take(obj, blocking, timeout)
        if got:
            client.acquired(obj, owned)
        return got
    return acquire


def _take_lock(obj, blocking, timeout):
    return obj.acquire(blocking, -1 if timeout is None else timeout)


def _take_semaphore(obj, blocking, timeout):
    return obj.acquire(blocking, timeout)


def _release(owned):
    def release(obj, client, *args, **kwds):
        obj.release(*args, **kwds)
        client.released(obj, owned, *args, **kwds)
    return release


def _wait_condition(obj, client, timeout=None):
    return _in_slices(client, obj.wait, False, timeout)


def _wait_event(obj, client, timeout=None):
    return _in_slices(client, obj.wait, False, timeout)


def _wait_barrier(obj, client, timeout=None):
    with client.watched(obj.abort):
        return obj.wait(timeout)


_PLAIN_LOCKS = type(threading.Lock()),
_SEMAPHORES = threading.Semaphore,
_OWNED_LOCKS = type(threading.RLock()), threading._PyRLock, threading.Condition
_METHODS = {
    (queue.Queue,): {'get': _get, 'put': _put, 'join': _join},
    _PLAIN_LOCKS: {'acquire': _acquire(_take_lock, False), 'release': _release(False)},
    _SEMAPHORES: {'acquire': _acquire(_take_semaphore, False), 'release': _release(False)},
    _OWNED_LOCKS: {'acquire': _acquire(_take_lock, True), 'release': _release(True)},
    (threading.Condition,): {'wait': _wait_condition},
    (threading.Event,): {'wait': _wait_event},
    (threading.Barrier,): {'wait': _wait_barrier},
}
_found = {}  # (type, method) -> function or None


def patient(obj, method):
    """function(obj, client, *args) to be called in the place of a method, or None."""
    key = type(obj), method
    try:
        return _found[key]
    except KeyError:
        _found[key] = found = _find(*key)
        return found


def _find(cls, method):
    for classes, methods in _METHODS.items():
        for base in classes:
            if method in methods and issubclass(cls, base) and getattr(cls, method, None) is getattr(base, method, None):
                return methods[method]  # but not one that a subclass has changed
    return None
