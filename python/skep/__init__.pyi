from multiprocessing import *  # what is not named below is the standard library's, bound to skep's contexts
from collections.abc import Callable, Iterable
from typing import Any

from . import arrays as arrays, context as context, executor as executor, pool as pool, queues as queues
from ._core import GoneError as GoneError, HiveError as HiveError, __version__ as __version__
from .arrays import array as array, asarray as asarray, empty as empty, full as full, ones as ones, zeros as zeros
from ._crew import WorkerDied as WorkerDied
from .context import Process as Process
from .executor import ProcessPoolExecutor as ProcessPoolExecutor
from .hive import Hive as Hive, default_hive as default_hive

def Queue(maxsize: int = 0) -> queues.Queue[Any]: ...
def SimpleQueue() -> queues.SimpleQueue[Any]: ...
def Pool(processes: int | None = None, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = (),
         maxtasksperchild: int | None = None) -> pool.Pool: ...
def get_context(method: str | None = None) -> context.BaseContext: ...
