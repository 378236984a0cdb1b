# SPDX-License-Identifier: Apache-2.0
"""Managers: objects that live in a server process, on this machine or on another one, and the proxies of their users.

    class Workshop(BaseManager): pass
    Workshop.register('Counter', Counter)

    with Workshop() as workshop:                 # a server process of its own
        counter = workshop.Counter()             # a proxy; it can be sent to other processes
        counter.add(1)

Or for others: Workshop((host, port), authkey).get_server().serve_forever() there, .connect() here.  Both sides may also be the
standard library's, of any version.  Between two of skep it goes through shared memory on one machine, and is encrypted over a network.
"""
import multiprocessing.managers as _standard

from multiprocessing import ProcessError
from multiprocessing.managers import Namespace, RemoteError, State, Token

from .base import BaseManager, SyncManager
from .proxy import *  # noqa: F403: the proxy types
from .proxy import __all__ as _proxies
from .server import Server
from .session import ConnectionLostError
from .shared_memory import SharedMemoryManager

__all__ = [*_standard.__all__, 'ConnectionLostError']


def __getattr__(name):
    return getattr(_standard, name)  # what it does not export and nobody needs of skep, such as dispatch()
