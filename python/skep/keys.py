# SPDX-License-Identifier: Apache-2.0
"""What keys of shared dicts are made of, so that equal objects are the same key in all processes (python/ext/item.h)."""
import copyreg
import enum
import operator
import sys
import types

from multiprocessing.reduction import ForkingPickler

from . import _core

__all__ = ()

# What is derived from these, and compares as they do, is them.
_BASES = {str: str.__str__, int: int.__int__, float: float.__float__, complex: complex.__pos__, tuple: tuple, frozenset: frozenset,
          bytes: lambda key: bytes(memoryview(key))}


def _number(key):
    """The builtin number that is equal to it, or a list of numerator and denominator; None: it is no number like that."""
    numpy = sys.modules.get('numpy')
    if numpy is not None and isinstance(key, numpy.generic):
        value = key.item()
        return value if type(value) in (bool, int, float, complex, str, bytes) and value == key else None
    if hasattr(type(key), '__index__'):
        value = operator.index(key)
        return int(value) if value == key else None
    if hasattr(type(key), 'as_integer_ratio'):  # Fraction, Decimal
        try:
            top, bottom = key.as_integer_ratio()
        except (ValueError, OverflowError):  # not finite
            value = float(key)
            return value if value == key else None
        if bottom == 1:
            return top
        try:
            value = top / bottom
        except OverflowError:
            return ['ratio', top, bottom]
        return value if value.as_integer_ratio() == (top, bottom) else ['ratio', top, bottom]
    return None


def _name(key):
    return ['name', key.__module__, key.__qualname__]


def _reduced(key, kind):
    reduce = ForkingPickler._extra_reducers.get(kind) or copyreg.dispatch_table.get(kind)
    parts = reduce(key) if reduce else key.__reduce_ex__(5)
    if isinstance(parts, str):
        return ['name', kind.__module__, parts]
    function, arguments, state, items, pairs = (*parts[:5], *[None] * (5 - len(parts[:5])))
    return ['made', function, arguments, state, None if items is None else list(items), None if pairs is None else list(pairs)]


def _simplify(key):
    """An exact builtin value that is equal to the key, or a list that says what it is made of."""
    kind = type(key)
    if kind is bytearray:
        return bytes(key)
    if isinstance(key, (type, types.FunctionType, types.BuiltinFunctionType)):
        return _name(key)
    for base, exact in _BASES.items():
        if isinstance(key, base) and kind.__eq__ is base.__eq__ and kind.__hash__ is base.__hash__:
            return exact(key)
    if isinstance(key, enum.Enum) and kind.__eq__ is enum.Enum.__eq__:
        return ['enum', kind, key.name if key.name is not None else key.value]
    number = _number(key)
    return _reduced(key, kind) if number is None else number


_core.keys_with(_simplify)
