from multiprocessing import *  # what is not named below is the standard library's, bound to skep's contexts
from typing import Any

from . import arrays as arrays, context as context, managers as managers, queues as queues, shared_memory as shared_memory
from ._core import GoneError as GoneError, HiveError as HiveError, __version__ as __version__
from .arrays import array as array, asarray as asarray, empty as empty, full as full, ones as ones, zeros as zeros
from .arrays import install_numpy_allocator as install_numpy_allocator, numpy_allocator as numpy_allocator
from .context import Process as Process
from .hive import Hive as Hive, default_hive as default_hive

def Queue(maxsize: int = 0) -> queues.Queue[Any]: ...
def SimpleQueue() -> queues.SimpleQueue[Any]: ...
def get_context(method: str | None = None) -> context.BaseContext: ...
