from collections.abc import Callable
from typing import Any, ContextManager, Literal, TypeVar

from . import _core
from ._core import OwnerDiedError as OwnerDiedError, OwnerDiedWarning as OwnerDiedWarning
from .hive import Hive

_T = TypeVar('_T')
_OnOwnerDied = Literal['warn', 'raise', 'ignore']

__all__ = ['Lock', 'RLock', 'Semaphore', 'BoundedSemaphore', 'Condition', 'Event', 'Barrier', 'RWLock', 'Once',
           'OwnerDiedError', 'OwnerDiedWarning']

SEM_VALUE_MAX: int

class SemLock: ...

class Lock(SemLock, _core.Lock):
    def __init__(self, *, on_owner_died: _OnOwnerDied = 'warn', ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...

class RLock(SemLock, _core.RLock):
    def __init__(self, *, on_owner_died: _OnOwnerDied = 'warn', ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...

class Semaphore(SemLock, _core.Semaphore):
    def __init__(self, value: int = 1, *, recover: bool = False, on_owner_died: _OnOwnerDied = 'warn', ctx: Any = None,
                 hive: Hive | None = None, name: str | None = None) -> None: ...

class BoundedSemaphore(Semaphore):
    def __init__(self, value: int = 1, *, on_owner_died: _OnOwnerDied = 'warn', ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...

class Condition(_core.Condition):
    def __init__(self, lock: Lock | RLock | None = None, *, ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...
    def wait_for(self, predicate: Callable[[], _T], timeout: float | None = None) -> _T: ...

class Event(_core.Event):
    def __init__(self, *, ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...

class Barrier(_core.Barrier):
    def __init__(self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None, *, ctx: Any = None,
                 hive: Hive | None = None, name: str | None = None) -> None: ...
    def wait(self, timeout: float | None = None) -> int: ...  # type: ignore[override]

class RWLock(_core.RWLock):
    def __init__(self, *, on_owner_died: _OnOwnerDied = 'warn', ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...
    def read(self) -> ContextManager[bool]: ...
    def write(self) -> ContextManager[bool]: ...

class Once(_core.Once):
    def __init__(self, *, ctx: Any = None, hive: Hive | None = None, name: str | None = None) -> None: ...
