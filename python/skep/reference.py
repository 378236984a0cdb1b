# SPDX-License-Identifier: Apache-2.0
"""Objects of a hive on the way to other processes.

What is pickled is a reference: the receiver must be a member of the hive (RuntimeError otherwise).  A message of a queue keeps
the object alive until it has been taken, a starting child until it ends; for other ways of the bytes somebody must hold it until
the receiver has attached (GoneError otherwise).  A process has one Python object for each shared one.
"""
import os
import threading
import weakref

from multiprocessing.context import get_spawning_popen

from . import _core
from .hive import _keep_until_child_ends

__all__ = ()

_attached = weakref.WeakValueDictionary()  # (class, identity of the hive, reference) -> object of this process
_attached_lock = threading.RLock()


class Referable:
    """Mixin before a type of _core that has `hive`, `reference` and attach(hive, offset, serial, ...)."""

    @property
    def _key(self):
        return type(self), self.hive.identity, self.reference

    def __reduce__(self):
        if self.hive.is_remote:
            raise TypeError(f'a {type(self).__name__} of another machine cannot be sent: connect there, and find it by name')
        popen = get_spawning_popen()
        if popen is not None:
            _keep_until_child_ends(popen, self)
        _core.mention(self.hive, self.reference)
        self._remember()
        return _attach, (type(self), self.hive, self.reference, self._attach_arguments(), self._state())

    def _attach_arguments(self):
        """What attach() needs beside the reference."""
        return ()

    def _state(self):
        """Attributes for a new object in another process, or None."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith('_skep_')} or None

    def _remember(self):
        """It may come back, and is to be found then."""
        with _attached_lock:
            _attached.setdefault(self._key, self)

    def _forget(self):
        """It shall not be found again in this process."""
        with _attached_lock:
            if _attached.get(self._key) is self:
                del _attached[self._key]


def _attach(cls, hive, reference, arguments, state):
    """Unpickle: the object that this process has already, or a new handle."""
    key = cls, hive.identity, reference
    with _attached_lock:
        found = _attached.get(key)
        if found is None:
            found = cls.attach(hive, *reference, *arguments)
            for name, value in (state or {}).items():
                setattr(found, name, value)
            _attached[key] = found
    return found


def _after_fork_in_child():
    global _attached_lock
    _attached_lock = threading.RLock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork_in_child)
