# SPDX-License-Identifier: Apache-2.0
"""A client process and one server: its connections, and which objects of the server it holds.

A session has one control connection, which carries nothing that could wait (who holds what), and for each thread a connection
for calls, made when first needed; on one machine and for the same user that goes on through shared memory.  The server keeps
account by session.  When the control connection ends, so do the session's references; locks that the process held are given
back too, unless it said goodbye: an orderly end leaves a lock to whoever releases it, as multiprocessing does.

References are counted twice.  Here: proxies of this process by object, so that the server hears only of the first and of the last.
There: what it granted to this session; the last proxy gives back all that was granted until then.

After a fork the child has a session of its own.  It takes over what the parent held at the fork, and until it has done so, or
has ended, the parent gives none of that back: it sees so at a pipe whose other end the child has.
"""
import collections
import contextlib
import functools
import os
import select
import threading
import weakref

from multiprocessing import process, reduction, util
from multiprocessing.managers import listener_client

from .. import connection as _connection
from ..hive import Hive, _member_of
from . import wire

__all__ = ['ConnectionLostError']


class ConnectionLostError(ConnectionResetError, EOFError):
    """The connection to a manager's server broke, or the server has ended; may_have_run: whether the call may have been done."""

    def __init__(self, text, may_have_run=False):
        super().__init__(text)
        self.may_have_run = may_have_run

    def __reduce__(self):
        return type(self), (self.args[0], self.may_have_run)


_peers = weakref.WeakValueDictionary()  # (address, authkey, serializer, tls) -> Session or Standard
_peers_lock = threading.Lock()


def peer_at(address, authkey, serializer='pickle', tls=None):
    """What is at that address: a Session with a server of skep, or Standard."""
    key = address, bytes(authkey), serializer, tls
    found = _peers.get(key)
    if found is None:
        made = _find_out(*key)
        with _peers_lock:
            found = _peers.setdefault(key, made)
    return found


def session_with(server_id):
    """The session of this process with that server, by whatever address; None: there is none."""
    for peer in list(_peers.values()):
        if peer.server_id == server_id:
            return peer
    return None


def _find_out(address, authkey, serializer, tls):
    if serializer != 'pickle':
        return Standard(address, serializer, tls)
    stream, is_ours = wire.connect(address, authkey, tls)
    if is_ours:
        return Session(address, authkey, tls, stream)
    stream.close()
    return Standard(address, serializer, tls)


def client_for(serializer, tls):
    """What connects to a server of any kind, for functions of the standard library."""
    return functools.partial(_client, tls) if serializer == 'pickle' else listener_client[serializer][1]


def _client(tls, address, authkey):
    return wire.connect(address, authkey, tls)[0]


class Standard:
    """A server of the standard library: its own proxies know how to speak to it."""

    server_id = None
    is_standard = True

    def __init__(self, address, serializer, tls):
        self.address = address
        self.client = client_for(serializer, tls)


class _Held:
    """An object that this process holds: proxies of it here, and what the server granted."""

    __slots__ = 'proxies', 'granted'

    def __init__(self):
        self.proxies = self.granted = 0


class _Links:
    """All connections of a session; apart from it, so that they can be closed when it is gone."""

    def __init__(self):
        self.control = None
        self.calls = weakref.WeakSet()

    def goodbye(self):
        control, self.control = self.control, None
        if control is None:
            return
        try:
            control.send((None, 'goodbye', (), {}))
        except OSError:
            pass
        control.close()

    def drop(self):
        """In a forked child: they are the parent's."""
        for link in [self.control, *self.calls]:
            if link is not None:
                with contextlib.suppress(OSError):
                    link.close()
        self.control = None
        self.calls = weakref.WeakSet()


class Session:
    """This process's dealings with one server of skep.  All methods may be called by any thread."""

    is_standard = False

    def __init__(self, address, authkey, tls, stream):
        self.address, self.authkey, self.tls = address, process.AuthenticationString(authkey), tls
        self._lock = threading.Lock()
        self._held = {}                     # ident -> _Held
        self._dropped = collections.deque() # idents of proxies that are gone; filled by finalizers, which must not wait
        self._forks = {}                    # descriptor that ends with the child's taking over -> idents that it may want
        self._postponed = []                # dropped idents that such a child may want
        self._claim = None                  # in such a child: the other end
        self._begin_afresh()
        self._open_control(stream)
        _live.add(self)
        util.register_after_fork(self, Session._take_over)

    def _begin_afresh(self):
        self._local = threading.local()
        self._links = _Links()
        self._goodbye = None

    def _stream(self):
        stream, is_ours = wire.connect(self.address, self.authkey, self.tls)
        if not is_ours:
            stream.close()
            raise ConnectionLostError(f'the server at {self.address!r} is another one now')
        return stream

    # --- control ------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _locked(self):
        """With the lock; afterwards, what finalizers could not give back meanwhile."""
        try:
            with self._lock:
                yield
        finally:
            self._flush()

    def _open_control(self, stream):
        idents = list(self._held)
        try:
            self.server_id, self._id, missing = wire.ask(stream, 'open_session', idents)
        except BaseException:
            stream.close()
            raise
        self._links.control = stream
        self._see_to_goodbye()
        for ident, held in self._held.items():
            held.granted = 1
        for ident in missing:
            util.info('object %s of the manager at %r is gone', ident, self.address)
            self._held[ident].granted = 0
        self._waive()

    def _see_to_goodbye(self):
        if self._goodbye is None or not self._goodbye.still_active():
            self._goodbye = util.Finalize(self, self._links.goodbye, exitpriority=5)  # after those of users' objects

    def _waive(self):
        """The parent need not keep anything for us any more."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def _control(self):
        """With the lock: the control connection, a new one if it was lost."""
        control = self._links.control
        if control is not None and wire.has_hung_up(control.fileno()):
            control.close()
            control = self._links.control = None
        if control is None:
            self._open_control(self._stream())
        return self._links.control

    def ask(self, function, *args):
        """Call a function of the server that does not wait."""
        with self._locked():
            self._give_back()
            control = self._control()
            try:
                return wire.ask(control, function, *args)
            except (OSError, EOFError) as error:
                if isinstance(error, ConnectionLostError):
                    raise
                control.close()
                self._links.control = None
                raise ConnectionLostError(f'the manager at {self.address!r} does not answer any more') from error
            except BaseException as error:
                if not isinstance(error, Exception):  # its answer may still come
                    control.close()
                    self._links.control = None
                raise

    # --- references ---------------------------------------------------------------------------------------------------------

    def granted(self, ident):
        """The server has counted a reference for us; it is held until drop()."""
        with self._locked():
            held = self._held.setdefault(ident, _Held())
            held.proxies += 1
            held.granted += 1

    def hold(self, ident):
        """For one more proxy.  RemoteError: the object is gone."""
        with self._locked():
            held = self._held.get(ident)
            if held is not None:
                held.proxies += 1
                return
        self.ask('incref', ident)
        self.granted(ident)

    def drop(self, ident):
        """One proxy less.  Does not wait."""
        self._dropped.append(ident)
        self._flush()

    def _flush(self):
        while self._dropped and self._lock.acquire(False):  # else whoever has it does it
            try:
                self._give_back()
            finally:
                self._lock.release()

    def _give_back(self):
        for fd in [fd for fd in self._forks if _has_ended(fd)]:
            os.close(fd)
            del self._forks[fd]
            self._dropped.extend(self._postponed)
            self._postponed.clear()
        while self._dropped:
            ident = self._dropped.popleft()
            held = self._held[ident]
            if held.proxies == 1 and any(ident in idents for idents in self._forks.values()):
                self._postponed.append(ident)
                continue
            held.proxies -= 1
            if not held.proxies:
                del self._held[ident]
                if held.granted and self._links.control is not None:
                    try:
                        self._links.control.send((None, 'give_back', (ident, held.granted), {}))
                    except OSError:
                        pass  # then the session has ended, and all its references with it
        if not self._held:
            self._waive()

    # --- calls --------------------------------------------------------------------------------------------------------------

    def request(self, ident, method, args=(), kwds={}):
        """The reply to a request, through this thread's connection.  ConnectionLostError: it broke.

        A thread that is interrupted while it waits loses that connection; a call within a call gets one of its own.
        """
        try:
            link = self._local.idle.pop()
        except (AttributeError, IndexError):
            link = self._reach()
        try:
            link.send((ident, method, args, kwds))
        except OSError as error:
            link.close()
            raise ConnectionLostError(f'the manager at {self.address!r} does not listen any more') from error
        except BaseException:
            self._local.idle.append(link)  # it could not be pickled, and was not sent
            raise
        try:
            reply = link.recv()
        except (EOFError, OSError) as error:
            link.close()
            raise ConnectionLostError(f'the manager at {self.address!r} ended before it answered', True) from error
        except Exception:
            self._local.idle.append(link)  # a reply that cannot be unpickled
            raise
        except BaseException:
            link.close()
            raise
        self._local.idle.append(link)
        return reply

    def _reach(self):
        try:
            return self._new_link()
        except ConnectionLostError:
            raise
        except (OSError, EOFError) as error:
            raise ConnectionLostError(f'the manager at {self.address!r} cannot be reached: {error or "it closed the connection"}') from error

    def _new_link(self):
        if not hasattr(self._local, 'idle'):
            self._local.idle = []
        with self._locked():
            self._control()
            session_id = self._id
        stream = self._stream()
        try:
            link = self._joined(stream, session_id)
        except BaseException:
            stream.close()
            raise
        self._links.calls.add(link)
        return link

    def _joined(self, stream, session_id):
        name = process.current_process().name
        if threading.current_thread() is not threading.main_thread():
            name += '|' + threading.current_thread().name
        offer = wire.ask(stream, 'join_session', session_id, name)
        if offer is None:
            return stream
        identity, reference = offer
        fd = reduction.recv_handle(stream.connection)
        channel = None
        try:
            try:
                hive = _member_of(identity)
            except RuntimeError:
                hive = Hive.attach(fd)
            channel = _connection.Connection.attach(hive, *reference)
        except (OSError, _connection._core.HiveError) as error:
            util.info('no shared memory with the manager at %r: %s', self.address, error)
        finally:
            os.close(fd)
        stream.send(channel is not None)
        return stream if channel is None else wire.MemoryStream(stream, channel)

    # --- fork ---------------------------------------------------------------------------------------------------------------

    _fork_pipe = ()

    def _before_fork(self):
        self._lock.acquire()
        self._fork_pipe = os.pipe() if self._held else ()

    def _after_fork_in_parent(self):
        if self._fork_pipe:
            self._forks[self._fork_pipe[0]] = frozenset(self._held)
            os.close(self._fork_pipe[1])
        self._lock.release()

    def _after_fork_in_child(self):
        self._lock = threading.Lock()
        self._links.drop()
        if self._goodbye is not None:
            self._goodbye.cancel()
        for fd in self._forks:
            os.close(fd)
        self._forks = {}
        self._dropped.extend(self._postponed)
        self._postponed = []
        self._waive()
        if self._fork_pipe:
            os.close(self._fork_pipe[0])
            self._claim = self._fork_pipe[1]
        self._begin_afresh()

    def _take_over(self):
        """In a child of multiprocessing, before its own code runs; other children do so when they first use a proxy."""
        try:
            with self._locked():
                if self._held:
                    self._control()
                    self._see_to_goodbye()  # a child that was spawned forgets what it was to do at its end before it begins
        except Exception as error:
            util.info('the manager at %r is gone: %s', self.address, error)


def _has_ended(fd):
    """Whether the other end of a pipe is closed."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


_live = weakref.WeakSet()
_forking = []
_fork_lock = threading.Lock()


def _before_fork():
    _fork_lock.acquire()
    for session in sorted(_live, key=id):
        _forking.append(session)
        session._before_fork()


def _after_fork_in_parent():
    while _forking:
        _forking.pop()._after_fork_in_parent()
    _fork_lock.release()


def _after_fork_in_child():
    global _peers_lock, _fork_lock
    _peers_lock, _fork_lock = threading.Lock(), threading.Lock()
    while _forking:
        _forking.pop()._after_fork_in_child()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
