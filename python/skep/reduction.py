# SPDX-License-Identifier: Apache-2.0
"""Pickling between processes: multiprocessing.reduction, with descriptors that also go through a Pipe of skep."""
import multiprocessing.reduction as _standard

from multiprocessing.reduction import *  # noqa: F403
from multiprocessing.reduction import ACKNOWLEDGE, HAVE_SEND_HANDLE, AbstractReducer, DupFd, recvfds, sendfds  # noqa: F401

from . import _core

__all__ = _standard.__all__


def send_handle(conn, handle, destination_pid):
    """Send a descriptor; the receiver gets one of its own.  conn: a Connection of a Pipe or over a Unix socket."""
    if not isinstance(conn, _core.Connection):
        return _standard.send_handle(conn, handle, destination_pid)
    conn.send(DupFd(handle))


def recv_handle(conn):
    """Receive a descriptor that send_handle() sent.  RuntimeError: something else came."""
    if not isinstance(conn, _core.Connection):
        return _standard.recv_handle(conn)
    sent = conn.recv()
    if not hasattr(sent, 'detach'):
        raise RuntimeError(f'a descriptor was expected, not {sent!r}')
    return sent.detach()
