# SPDX-License-Identifier: Apache-2.0
"""Dicts and namespaces that all processes see.

Dict behaves as dict does, for all processes at once; whatever dies, each call is done or not done, update() and clear() as a whole.

* Numbers, text and bytes are the same for C.  Arrays of the hive and other containers are held by reference, and stay what they
  are when they are got; anything else is pickled, so that `d['a'].append(1)` changes a copy: set it again, or put a shared
  container there.
* keys(), values() and items() are lists, and all of a dict at one instant; so is what an iteration goes through.
* `d[k] += 1` is two steps, and loses what others do in between; add(), setdefault(), compare_and_set(), pop() and
  set_if() are one.  wait_for() waits for a key.
* Readers take no lock.  A dict that holds itself, also through others, stays until the hive goes.
"""
import collections.abc
import reprlib

from . import _core
from .hive import default_hive
from .reference import Referable, _attach

__all__ = ['Dict', 'Namespace']


class Dict(Referable, _core.Dict):
    """Dict(...) as dict(...): a dict in the hive of this program's processes; hive.dict(name) in another one.

    It may be given to processes as argument, put into queues and into other containers."""

    def __init__(self, *args, **kwargs):
        super().__init__(default_hive())
        self._remember()
        if args or kwargs:
            self.update(*args, **kwargs)

    @classmethod
    def in_hive(cls, hive, *, capacity=0, name=None):
        """An empty dict in that hive, with room for so many keys at first; the name is for Dict.open(hive, name)."""
        self = cls.__new__(cls)
        _core.Dict.__init__(self, hive, capacity, name)
        self._remember()
        return self

    @classmethod
    def fromkeys(cls, iterable, value=None):
        return cls(dict.fromkeys(iterable, value))

    def __reversed__(self):
        return reversed(self.keys())

    def __str__(self):
        return str(self.copy())

    @reprlib.recursive_repr('Dict(...)')
    def __repr__(self):
        return f'{type(self).__name__}({self.copy()!r})'


class Namespace(Referable, _core.Namespace):
    """Namespace(**attributes): attributes that all processes see.

    Names that begin with an underscore are this process's own; `hive` and `reference` tell where it lies."""

    def __init__(self, **attributes):
        super().__init__(default_hive())
        self._remember()
        self._update(attributes)

    @classmethod
    def in_hive(cls, hive, *, name=None):
        """An empty one in that hive; the name is for Namespace.open(hive, name)."""
        self = cls.__new__(cls)
        _core.Namespace.__init__(self, hive, name)
        self._remember()
        return self

    @reprlib.recursive_repr('Namespace(...)')
    def __repr__(self):
        attributes = ', '.join(f'{name}={value!r}' for name, value in sorted(self._copy().items()))
        return f'{type(self).__name__}({attributes})'

    def __dir__(self):
        return sorted({*object.__dir__(self), *self._copy()})


collections.abc.MutableMapping.register(Dict)
_core.nested_as('dict', Dict, _attach)
_core.nested_as('namespace', Namespace, _attach)
