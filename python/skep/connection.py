# SPDX-License-Identifier: Apache-2.0
"""Pipes in a hive, and connections over sockets: every name of multiprocessing.connection.

Pipe() gives two Connections over shared memory.  Against multiprocessing's:

* send() waits for nobody: a pipe is as deep as the hive has memory;
* arrays made by skep.empty() and its like go by reference, ordinary ones are copied once;
* many threads and processes may send and receive at one end;
* a Connection can be pickled at any time.  A message that carries one holds it, so it may be closed once it is sent;
* an end whose holders were all killed gives EOFError at the other within 50 ms or so; until one asks for fileno() a pipe
  needs no descriptor.

Listener and Client speak to multiprocessing of any version, old and new; their connections are the standard library's.
"""
import hmac
import multiprocessing.connection as _standard
import os
import queue as _queue
import selectors as _selectors
import socket as _socket
import time as _time
import weakref

from multiprocessing import AuthenticationError, BufferTooShort
from multiprocessing.connection import (BUFSIZE, CONNECTION_TIMEOUT, ConnectionWrapper, SocketClient, SocketListener, XmlClient, XmlListener,
                                        address_type, arbitrary_address, default_family, families, rebuild_connection, reduce_connection)
from multiprocessing.context import get_spawning_popen

from . import _core
from .hive import _member_of, default_hive

__all__ = [
    'AuthenticationError', 'BUFSIZE', 'BufferTooShort', 'CHALLENGE', 'CONNECTION_TIMEOUT', 'Client', 'Connection', 'ConnectionWrapper',
    'FAILURE', 'Listener', 'MESSAGE_LENGTH', 'Pipe', 'SocketClient', 'SocketListener', 'WELCOME', 'XmlClient', 'XmlListener', 'address_type',
    'answer_challenge', 'arbitrary_address', 'default_family', 'deliver_challenge', 'families', 'rebuild_connection', 'reduce_connection', 'wait',
]


# --- pipes ------------------------------------------------------------------------------------------------------------

class Connection(_core.Connection):
    """One end of a Pipe.  Connection(descriptor, readable=True, writable=True) is the standard library's over a descriptor."""

    def __new__(cls, handle, readable=True, writable=True):
        return _standard.Connection(handle, readable, writable)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _ready(self):
        return self.poll()

    def __reduce__(self):
        if _core.mention(self.hive, self.reference):
            return _attach, (self.hive.identity, self.reference)
        return _redeem, (self.hive, _ticket_for(self))

    def __repr__(self):
        if self.closed:
            return f'<{type(self).__name__} closed>'
        ways = {(True, True): 'duplex', (True, False): 'read-only', (False, True): 'write-only', (False, False): 'spoilt'}
        return f'<{type(self).__name__} {ways[self.readable, self.writable]} {self.reference[0]:#x}>'


def Pipe(duplex=True):
    """Two connected Connections; with duplex=False the first only receives and the second only sends."""
    return Connection.pair(default_hive(), duplex)


def _attach(identity, reference):
    return Connection.attach(_member_of(identity), *reference)


# A Connection that is pickled for anything but a queue or pipe of its hive, such as the arguments of a child, waits in a
# queue of its own, its ticket.  This process holds that until the receiver has redeemed it, or has ended without.

_SWEEP_SECONDS = 0.1
_tickets = {}  # queue with the connection in it -> weak reference to the Popen of the child that it is for, or None


def _ticket_for(connection):
    ticket = _core.Queue(connection.hive, 1)
    ticket.put(connection)
    popen = get_spawning_popen()
    _sweep()
    _tickets[ticket] = popen and weakref.ref(popen)
    _core.between_waits(_sweep)
    return ticket.reference


def _redeem(hive, reference):
    try:
        return _core.Queue.attach(hive, *reference).get_nowait()
    except _queue.Empty:
        raise _core.GoneError('the connection was received already') from None


def _is_for_nobody(child):
    """Whether the child of a ticket has ended; asked without reaping it."""
    popen = child()
    if popen is None:
        return True
    sentinel = getattr(popen, 'sentinel', None)  # None: just being started
    try:
        return sentinel is not None and bool(_standard.wait([sentinel], 0))
    except (OSError, ValueError):
        return True  # closed, so joined


def _sweep():
    """Let go of the tickets that were redeemed, or will be by nobody."""
    for ticket, child in list(_tickets.items()):
        if ticket.empty() or child and _is_for_nobody(child):
            _tickets.pop(ticket, None)
    if not _tickets:
        _core.between_waits(None)


os.register_at_fork(after_in_child=_tickets.clear)  # they are the parent's


# --- wait -------------------------------------------------------------------------------------------------------------

def wait(object_list, timeout=None):
    """Those of the objects that are ready to be read or at their end; [] after timeout seconds (None: for ever).

    Connections, queues or their _reader, sockets, Process.sentinel, descriptors and whatever has fileno().  Connections and
    queues alone are waited for together, without descriptors (up to 128, from Linux 5.16 on).
    """
    objects = tuple(object_list)
    ours = [obj for obj in objects if hasattr(obj, '_ready')]  # they know better than their descriptors, and sooner
    deadline = None if timeout is None else _time.monotonic() + timeout

    def ready_of_ours():
        return {id(obj) for obj in ours if obj._ready()}

    def stretch():
        left = None if deadline is None else max(0, deadline - _time.monotonic())
        if not _tickets:
            return left
        _sweep()  # what we wait for may be the end of a child that never took its connection
        return _SWEEP_SECONDS if left is None else min(left, _SWEEP_SECONDS)

    def in_order(ready):
        return [obj for obj in objects if id(obj) in ready]

    ready = ready_of_ours()
    if ours and len(ours) == len(objects):
        while not ready and (left := stretch()) != 0:
            if _core.poll_any(objects, left) is None:
                break
            ready = ready_of_ours()
        if ready or left == 0:
            return in_order(ready)
    with _selectors.PollSelector() as selector:
        for obj in objects:
            if not hasattr(obj, '_ready') or not ready:
                selector.register(obj, _selectors.EVENT_READ)
        own = {id(obj) for obj in ours}
        while True:
            left = 0 if ready else stretch()
            seen = {id(key.fileobj) for key, _ in selector.select(left)}
            ready = seen - own | ready_of_ours()
            if ready or left == 0:
                return in_order(ready)


# --- sockets ----------------------------------------------------------------------------------------------------------

def _is_ip6(address):
    return isinstance(address, tuple) and (len(address) == 4 or ':' in address[0])


class Listener(_standard.Listener):
    """A bound socket that waits for Clients.

    address: (host, port), (host, port, flow, scope) of IPv6, the path of a Unix socket or '\\0name' of an abstract one.
    With authkey, bytes, both sides prove that they have it: AuthenticationError.
    """

    def __init__(self, address=None, family=None, backlog=1, authkey=None):
        if authkey is not None and not isinstance(authkey, bytes):
            raise TypeError('authkey should be a byte string')
        if family is None and _is_ip6(address):
            family = 'AF_INET6'
        super().__init__(address, family, backlog)
        self._key = authkey

    def accept(self):
        """Wait for a Client; a Connection to it.  OSError: the listener is closed."""
        connection = super().accept()
        return _authenticated(connection, self._key, deliver_challenge, answer_challenge)


def Client(address, family=None, authkey=None):
    """A Connection to the Listener at that address."""
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError('authkey should be a byte string')
    if family == 'AF_INET6' or family is None and _is_ip6(address):
        connection = _connect_ip6(address)
    else:
        connection = _standard.Client(address, family)
    return _authenticated(connection, authkey, answer_challenge, deliver_challenge)


def _connect_ip6(address):
    with _socket.socket(_socket.AF_INET6) as connected:
        connected.setblocking(True)
        connected.connect(address)
        return _standard.Connection(connected.detach())


# The handshake, each side challenging the other, of multiprocessing 3.12 and later:
#   challenge   #CHALLENGE#{digest} and 40 random bytes
#   reply       {digest} and the HMAC of all that came after #CHALLENGE#
#   verdict     #WELCOME# or #FAILURE#
# Until 3.11 a challenge was 20 random bytes and the reply their bare HMAC-MD5.  Such a challenge is answered so, and such a
# reply, by a peer that saw nothing special in our challenge, is taken.

MESSAGE_LENGTH = 40
CHALLENGE = _CHALLENGE = b'#CHALLENGE#'
WELCOME = _WELCOME = b'#WELCOME#'
FAILURE = _FAILURE = b'#FAILURE#'
_MOST_BYTES = 256
_OLD_MESSAGE_LENGTH = 20
_DIGESTS = ('md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384')


def _authenticated(connection, authkey, *steps):
    if authkey is not None:
        try:
            for step in steps:
                step(connection, authkey)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_key(authkey):
    if not isinstance(authkey, bytes):
        raise ValueError(f'Authkey must be bytes, not {type(authkey)}')


def _digest_of(message):
    """The digest that a message begins with; None: it does not say."""
    for digest in _DIGESTS:
        if message.startswith(b'{%s}' % digest.encode()):
            return digest
    return None


def _create_response(authkey, message):
    digest = _digest_of(message)
    if digest is not None and len(message) - len(digest) - 2 >= _OLD_MESSAGE_LENGTH:
        return b'{%s}' % digest.encode() + hmac.digest(authkey, message, digest)
    if len(message) == _OLD_MESSAGE_LENGTH:
        return hmac.digest(authkey, message, 'md5')
    raise AuthenticationError('the challenge is too short, or names no digest that is known here')


def _verify_challenge(authkey, message, response):
    digest = _digest_of(response)
    if digest is not None:
        right = b'{%s}' % digest.encode() + hmac.digest(authkey, message, digest)
    else:
        right = hmac.digest(authkey, message, 'md5')  # 16 bytes: another length is never equal
    if not hmac.compare_digest(right, response):
        raise AuthenticationError('digest received was wrong')


def deliver_challenge(connection, authkey, digest_name='sha256'):
    """Let the peer prove that it has authkey.  AuthenticationError: it has not."""
    _check_key(authkey)
    if digest_name not in _DIGESTS:
        raise ValueError(f'unsupported digest {digest_name!r}')
    message = b'{%s}' % digest_name.encode() + os.urandom(MESSAGE_LENGTH)
    connection.send_bytes(CHALLENGE + message)
    try:
        _verify_challenge(authkey, message, connection.recv_bytes(_MOST_BYTES))
    except AuthenticationError:
        connection.send_bytes(FAILURE)
        raise
    connection.send_bytes(WELCOME)


def answer_challenge(connection, authkey):
    """Prove to the peer that we have authkey.  AuthenticationError: it does not believe it."""
    _check_key(authkey)
    message = connection.recv_bytes(_MOST_BYTES)
    if not message.startswith(CHALLENGE):
        raise AuthenticationError(f'a challenge was expected, not {message!r}')
    connection.send_bytes(_create_response(authkey, message[len(CHALLENGE):]))
    if connection.recv_bytes(_MOST_BYTES) != WELCOME:
        raise AuthenticationError('digest sent was rejected')
