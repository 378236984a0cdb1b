# SPDX-License-Identifier: Apache-2.0
"""multiprocessing on crash-safe, zero-copy shared memory: `import skep as mp`.

Every public name of multiprocessing is here and means the same.  Queues, Pipe, Pool, locks and the other objects of synchronisation,
Value and Array are skep's own; the others are still the standard library's, bound to skep's contexts: Manager.

New: arrays born in shared memory (empty, zeros, ones, full, array, asarray), Hive, RWLock, Once, ProcessPoolExecutor; HiveError,
GoneError, OwnerDiedError, OwnerDiedWarning, WorkerDied.
"""
import importlib as _importlib

from . import context
from ._core import GoneError, HiveError, OwnerDiedError, OwnerDiedWarning, __version__
from .arrays import array, asarray, empty, from_dlpack, full, install_numpy_allocator, numpy_allocator, ones, zeros
from .hive import Hive, default_hive

_names = [name for name in dir(context._default_context) if not name.startswith('_')]
globals().update((name, getattr(context._default_context, name)) for name in _names)

__all__ = _names + ['GoneError', 'Hive', 'HiveError', 'OwnerDiedError', 'OwnerDiedWarning', 'ProcessPoolExecutor', 'WorkerDied', 'array',
                    'asarray', 'default_hive', 'empty', 'from_dlpack', 'full', 'install_numpy_allocator', 'numpy_allocator', 'ones', 'zeros']

_lazy = {'ProcessPoolExecutor': 'executor', 'WorkerDied': '_crew'}


def __getattr__(name):
    if name in _lazy:
        return getattr(_importlib.import_module(f'{__name__}.{_lazy[name]}'), name)
    # skep.queues is ours; skep.pool, skep.connection and the like are still the standard library's.
    if name.startswith('_'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    for package in (__name__, 'multiprocessing'):
        full_name = f'{package}.{name}'
        try:
            return _importlib.import_module(full_name)
        except ModuleNotFoundError as error:
            if error.name != full_name:
                raise
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
