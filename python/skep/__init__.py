# SPDX-License-Identifier: Apache-2.0
"""multiprocessing on crash-safe, zero-copy shared memory: `import skep as mp`.

Every public name of multiprocessing is here and means the same.  Queues, Pipe, Pool, locks and the other objects of synchronisation,
Value and Array are skep's own, and so is what Manager() gives, without a server process.

New: arrays born in shared memory (empty, zeros, ones, full, array, asarray), Dict, List, Namespace, Hive, RWLock, Once,
ProcessPoolExecutor; HiveError, GoneError, OwnerDiedError, OwnerDiedWarning, WorkerDied.
"""
import importlib as _importlib
import importlib.machinery as _machinery
import multiprocessing as _multiprocessing
import sys as _sys

from . import context, keys as _keys
from ._core import GoneError, HiveError, OwnerDiedError, OwnerDiedWarning, __version__
from .arrays import array, asarray, empty, from_dlpack, full, install_numpy_allocator, numpy_allocator, ones, zeros
from .dicts import Dict, Namespace
from .hive import Hive, default_hive
from .lists import List

connect = Hive.connect

_names = [name for name in dir(context._default_context) if not name.startswith('_')]
globals().update((name, getattr(context._default_context, name)) for name in _names)

__all__ = _names + ['Dict', 'GoneError', 'Hive', 'HiveError', 'List', 'Namespace', 'OwnerDiedError', 'OwnerDiedWarning', 'ProcessPoolExecutor',
                    'WorkerDied', 'array', 'asarray', 'connect', 'default_hive', 'empty', 'from_dlpack', 'full',
                    'install_numpy_allocator', 'numpy_allocator', 'ones', 'zeros']

_lazy = {'ProcessPoolExecutor': 'executor', 'WorkerDied': '_crew'}


class _StandardSubmodules:
    """Finder of those submodules of multiprocessing that skep has no file for: they are the standard library's modules themselves."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        parent, _, name = fullname.rpartition('.')
        if parent != __name__ and not (parent.startswith(__name__ + '.') and _sys.modules[parent].__name__.startswith('multiprocessing.')):
            return None
        own = parent == __name__ and _machinery.PathFinder.find_spec(fullname, path)
        standard = 'multiprocessing' + fullname[len(__name__):]
        if own or not _machinery.PathFinder.find_spec(standard, _multiprocessing.__path__ if standard.count('.') == 1 else path):
            return own or None
        return _machinery.ModuleSpec(fullname, _StandardSubmodules(standard))

    def __init__(self, standard):
        self._standard = standard

    def create_module(self, spec):
        module = _importlib.import_module(self._standard)
        self._spec = module.__spec__  # the import system replaces it
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec


_sys.meta_path.insert(0, _StandardSubmodules)


def __getattr__(name):
    if name in _lazy:
        return getattr(_importlib.import_module(f'{__name__}.{_lazy[name]}'), name)
    if not name.startswith('_'):
        try:
            return _importlib.import_module(f'{__name__}.{name}')
        except ModuleNotFoundError as error:
            if error.name != f'{__name__}.{name}':
                raise
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
