# SPDX-License-Identifier: Apache-2.0
"""A list that all processes see; each of them may die at any time, and the list is as it was before or after a call."""
import reprlib

from . import _core
from .hive import default_hive
from .reference import Referable, _attach

__all__ = ['List']


class List(Referable, _core.List):
    """A list in shared memory: List(iterable=(), *, hive=None, name=None).

    What list can, this can, and each call is one step that no other one sees half of: also l[2:9] = x, l.sort() and l += x.  Reading waits
    for nobody.  New are add(index, number), compare_and_set(index, old, new), version() and wait(version).

    Numbers, texts and bytes are kept as they are.  Arrays born in the hive, and its List, Dict, Queue, Lock ... are kept by reference: what
    comes back is the same one, and lives as long as it is in the list.  Any other object is kept as its pickle, and each reading gives
    a copy: changing that changes nothing in the list (set it again).  Slices, copy(), + and * give lists of this process.

    Pickled, it is a reference (skep.reference).  In a hive that strange processes join it can have a name: List.open(hive, name).
    """

    def __init__(self, iterable=(), *, hive=None, name=None):
        super().__init__(default_hive() if hive is None else hive, name)
        self._remember()
        if iterable != ():
            self.extend(iterable)

    @reprlib.recursive_repr('...')
    def __repr__(self):
        return f'{type(self).__name__}({self.copy()!r})'


_core.nested_as('list', List, _attach)
