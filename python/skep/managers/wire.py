# SPDX-License-Identifier: Apache-2.0
"""How a client and a server of managers find out about each other, and the messages between them.

A server begins as multiprocessing.connection does, with a challenge.  Of the 40 bytes behind {sha256} 24 are random; then come a mark, the
same in every server of skep, and one byte of offers.  To anybody else all this is random.  What a client makes of it:

    no mark             a server of the standard library: answer with the HMAC, challenge it in turn, speak its protocol
    mark, offers TLS    answer #SKEP-TLS#; both go on with TLS 1.3 on the same socket, with a key derived from authkey
    mark                answer with the HMAC, challenge it with a client's mark, and open a session (session.py)

An attacker between two peers of skep who does not know the key cannot talk them out of TLS: take the mark or the offer away,
and the client's HMAC is that of another challenge than the server's; leave it, and the client never answers with an HMAC.  He can still
pose as a server of the standard library to a client without tls=True, if at the same time a standard-library client with the
same key dials him, of which he may borrow the answer.  With tls=True nothing but TLS is accepted, by a client and by a server.
"""
import contextlib
import hashlib
import io
import os
import pickle
import select
import socket
import struct

from multiprocessing import AuthenticationError, reduction
from multiprocessing import managers as _standard

from .. import _core
from .. import connection as _connection

__all__ = ()

_MARKS = {role: hashlib.sha256(b'skep.managers 1 ' + role).digest()[:15] for role in (b'server', b'client')}
_TLS = 1  # offers
_UPGRADE = b'#SKEP-TLS#'
_RANDOM_BYTES = 24
_MOST_BYTES = 256  # of a message before anybody has proved anything
HANDSHAKE_SECONDS = 20


# --- sockets ----------------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def _socket_of(connection):
    """The socket beneath a connection, which stays the connection's."""
    borrowed = socket.socket(fileno=connection.fileno())
    try:
        yield borrowed
    finally:
        borrowed.detach()


def prepare(connection):
    """Once for each new connection. @return whether it goes over a network"""
    with _socket_of(connection) as beneath:
        beneath.setblocking(True)
        if beneath.family == socket.AF_UNIX:
            return False
        beneath.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        beneath.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # the kernel tells of a cut cable after about a minute
        for option, value in ('TCP_KEEPIDLE', 30), ('TCP_KEEPINTVL', 10), ('TCP_KEEPCNT', 3), ('TCP_USER_TIMEOUT', 60000):
            if hasattr(socket, option):
                beneath.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        return True


def limit_waiting(connection, seconds):
    """How long a read may take before it fails; 0: for ever."""
    with _socket_of(connection) as beneath:
        beneath.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack('ll', seconds, 0))
        beneath.setblocking(True)


def peer_of(connection):
    """(pid, uid) at the other end of a Unix socket; (0, -1): not known."""
    with _socket_of(connection) as beneath:
        if beneath.family != socket.AF_UNIX:
            return 0, -1
        pid, uid, _ = struct.unpack('iII', beneath.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return pid, uid


def has_hung_up(fd):
    """Whether the other end of a socket is closed, though there may be something left to read."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    return bool(poll.poll(0))


def hang_up(fd):
    """End a connection for whoever waits on it."""
    try:
        beneath = socket.socket(fileno=os.dup(fd))
        beneath.shutdown(socket.SHUT_RDWR)
        beneath.close()
    except OSError:
        pass  # it has ended


# --- the handshake ----------------------------------------------------------------------------------------------------------

def _challenge(role, offers):
    return b'{sha256}' + os.urandom(_RANDOM_BYTES) + _MARKS[role] + bytes([offers])


def _offers(message, role):
    """What the mark of a challenge says; None: it has none."""
    return message[-1] if len(message) == 48 and message[-16:-1] == _MARKS[role] else None


def _verify(connection, authkey, message, response):
    try:
        _connection._verify_challenge(authkey, message, response)
    except AuthenticationError:
        connection.send_bytes(_connection.FAILURE)
        raise
    connection.send_bytes(_connection.WELCOME)


def _received_challenge(connection):
    message = connection.recv_bytes(_MOST_BYTES)
    if not message.startswith(_connection.CHALLENGE):
        raise AuthenticationError(f'a challenge was expected, not {message!r}')
    return message[len(_connection.CHALLENGE):]


def _answer(connection, authkey, message):
    connection.send_bytes(_connection._create_response(authkey, message))
    if connection.recv_bytes(_MOST_BYTES) != _connection.WELCOME:
        raise AuthenticationError('digest sent was rejected')


def welcome(connection, authkey, tls):
    """The server's part. @return its stream, and whether the client is one of skep"""
    networked = prepare(connection)
    limit_waiting(connection, HANDSHAKE_SECONDS)
    can_encrypt = networked and tls is not False and _can_encrypt(authkey)
    message = _challenge(b'server', _TLS if can_encrypt else 0)
    connection.send_bytes(_connection.CHALLENGE + message)
    response = connection.recv_bytes(_MOST_BYTES)
    if response == _UPGRADE and can_encrypt:
        return SecureStream(connection, authkey, False), True
    if networked and tls:
        connection.send_bytes(_connection.FAILURE)
        raise AuthenticationError('the client does not encrypt, and tls=True demands it')
    _verify(connection, authkey, message, response)
    message = _received_challenge(connection)
    _answer(connection, authkey, message)
    limit_waiting(connection, 0)
    return Stream(connection), _offers(message, b'client') is not None


def greet(connection, authkey, tls):
    """The client's part. @return its stream, and whether the server is one of skep"""
    networked = prepare(connection)
    message = _received_challenge(connection)
    if _offers(message, b'client') is not None:
        raise AuthenticationError('a challenge of a client was sent back')
    offers = _offers(message, b'server')
    if networked and tls is not False and offers is not None and offers & _TLS and _can_encrypt(authkey):
        connection.send_bytes(_UPGRADE)
        return SecureStream(connection, authkey, True), True
    if networked and tls:
        raise AuthenticationError('the server does not offer encryption, and tls=True demands it')
    _answer(connection, authkey, message)
    message = _challenge(b'client', 0)
    connection.send_bytes(_connection.CHALLENGE + message)
    _verify(connection, authkey, message, connection.recv_bytes(_MOST_BYTES))
    return Stream(connection), offers is not None


def connect(address, authkey, tls):
    """A stream to the server at that address, and whether it is one of skep."""
    connection = _connection.Client(address)
    try:
        return greet(connection, authkey, tls)
    except BaseException:
        connection.close()
        raise


# --- pickles ----------------------------------------------------------------------------------------------------------------

_TABLE = reduction.ForkingPickler(io.BytesIO()).dispatch_table  # what it holds is alive: later registrations are in it


class _Pickler(pickle.Pickler):
    dispatch_table = _TABLE


class _Unpickler(pickle.Unpickler):
    """Proxies of the standard library become skep's on arrival."""

    def find_class(self, module, name):
        if module == 'multiprocessing.managers' and name == 'RebuildProxy':
            from .proxy import RebuildProxy
            return RebuildProxy
        return super().find_class(module, name)


def dumps(obj, protocol=4, buffer_callback=None):
    file = io.BytesIO()
    _Pickler(file, protocol, buffer_callback=buffer_callback).dump(obj)
    return file.getbuffer()


def loads(data, buffers=()):
    return _Unpickler(io.BytesIO(data), buffers=buffers).load()


# --- streams: send, recv, fileno, close ------------------------------------------------------------------------------------

class Stream:
    """Pickles in multiprocessing's framing."""

    def __init__(self, connection):
        self.connection = connection
        self.fileno = connection.fileno
        self.close = connection.close

    def send(self, obj):
        self.connection.send_bytes(dumps(obj))

    def recv(self):
        return loads(self.connection.recv_bytes())


class MemoryStream:
    """The same through a channel of a hive; the socket stays open as a proof of life."""

    _SLICE_SECONDS = 0.5

    def __init__(self, stream, channel):
        self._stream = stream
        self.fileno = stream.fileno
        self.send = channel.send
        self._poll = channel.poll
        self._recv = channel.recv
        self._close = channel.close

    def recv(self):
        while not self._poll(self._SLICE_SECONDS):
            if has_hung_up(self.fileno()) and not self._poll(0):
                raise EOFError
        return self._recv()

    def close(self):
        self._close()
        self._stream.close()


class SecureStream:
    """Pickles in messages over TLS 1.3; buffers of theirs, such as arrays, beside them and not copied.

    A message is the number of buffers, the length of each, the buffers, each at a multiple of 16, and the pickle.
    """

    _WORD = struct.Struct('<Q')
    _NO_BUFFERS = _WORD.pack(0)
    _BUFFERS_MAX = 30

    def __init__(self, connection, authkey, is_server):
        fd = os.dup(connection.fileno())
        connection.close()
        try:
            secure = _core.SecureConnection(fd, is_server, authkey, HANDSHAKE_SECONDS)
        except PermissionError as error:
            raise AuthenticationError('the keys differ') from error
        self.fileno, self.close = secure.fileno, secure.close
        self._send, self._recv = secure.send, secure.recv

    def send(self, obj):
        buffers = []
        data = dumps(obj, 5, buffers.append)
        if not buffers:
            return self._send(self._NO_BUFFERS, data)
        if len(buffers) > self._BUFFERS_MAX:
            return self._send(self._NO_BUFFERS, dumps(obj, 5))
        raws = [buffer.raw() for buffer in buffers]
        parts = [b''.join(self._WORD.pack(number) for number in (len(raws), *(raw.nbytes for raw in raws)))]
        end = len(parts[0])
        for raw in raws:
            parts += [bytes(-end % 16), raw]
            end += -end % 16 + raw.nbytes
        self._send(*parts, data)

    def recv(self):
        message = memoryview(self._recv())
        count = int.from_bytes(message[:8], 'little')
        if not count:
            return loads(message[8:])
        end, buffers = 8 + 8 * count, []
        for size in struct.unpack_from(f'<{count}Q', message, 8):
            end += -end % 16
            buffers.append(message[end:end + size])
            end += size
        return loads(message[end:], buffers)


def _can_encrypt(authkey):
    return bool(authkey) and _core.SecureConnection.available()


# --- what is said -----------------------------------------------------------------------------------------------------------

def result_of(reply):
    """What a reply brings, or raises."""
    kind, result = reply
    if kind == '#RETURN':
        return result
    try:
        raise _standard.convert_to_error(kind, result)
    finally:
        del reply, result  # an exception that knows its frame is in a cycle


def ask(stream, function, *args, **kwds):
    """Call a function of the server itself."""
    stream.send((None, function, args, kwds))
    return result_of(stream.recv())
