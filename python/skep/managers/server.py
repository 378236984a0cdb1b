# SPDX-License-Identifier: Apache-2.0
"""The server of a manager: objects, who holds them, and one thread for each connection.

A client of the standard library is served as it expects: a connection for each request about references, one for each of its
threads that calls methods.  Clients of skep open a session (session.py).  What belongs to a client goes with it:

                          references                          Lock, Semaphore              RLock, Condition
    skep                  when its session ends               likewise, unless in order    with the connection
    standard, Unix        when the kernel says it has ended   stay                         with the connection
    standard, TCP         stay                                stay                         with the connection
"""
import contextlib
import errno
import itertools
import multiprocessing.managers as _standard
import os
import pickle
import select
import secrets
import socket
import sys
import threading
import time
import traceback
import weakref

from multiprocessing import parent_process, process, reduction, util
from multiprocessing.pool import ExceptionWithTraceback

from .. import connection as _connection
from ..hive import default_hive
from . import wire
from .patience import ClientGone, patient
from .proxy import dialect, name_of

__all__ = ['Server']

_BACKLOG = 128
_FULL_SECONDS = 0.1  # to wait before the next accept() when there are no descriptors left


class _Holder:
    """Whose references and locks these are: a session, or a process of the standard library."""

    def __init__(self):
        self.references = {}    # ident -> count
        self.locks = {}         # id -> [lock, count]
        self.has_ended = False
        self.in_order = False


class _Client:
    """The other end of one connection, as the thread sees it that serves it."""

    def __init__(self, server, stream, holder, keeps_locks):
        self._server, self.stream, self.holder, self._keeps_locks = server, stream, holder, keeps_locks
        self._owned = {}        # id -> [lock, count]: of this thread
        self.undo = None        # if the result cannot be delivered

    def check(self):
        """ClientGone: it is."""
        if wire.has_hung_up(self.stream.fileno()):
            raise ClientGone

    def acquired(self, lock, owned):
        if owned:
            _count(self._owned, lock)
        elif self._keeps_locks and not self._server.note_lock(self.holder, lock):
            lock.release()
            raise ClientGone
        self.undo = lambda: self.released(lock, owned) or lock.release()

    def released(self, lock, owned, n=1):
        if owned:
            _uncount(self._owned, lock, n)
        else:
            self._server.forget_lock(self.holder, lock, n)

    def leave(self):
        for lock, count in self._owned.values():
            _release_all(lock, count)

    @contextlib.contextmanager
    def watched(self, function):
        """While inside: function() is called if the client goes."""
        fd = self.stream.fileno()
        self._server.watch(fd, select.EPOLLRDHUP, function)
        try:
            yield
        finally:
            self._server.unwatch(fd)


def _count(table, lock):
    table.setdefault(id(lock), [lock, 0])[1] += 1


def _uncount(table, lock, n):
    """@return how many of n were not in there"""
    entry = table.get(id(lock))
    if entry is None:
        return n
    taken = min(n, entry[1])
    entry[1] -= taken
    if not entry[1]:
        del table[id(lock)]
    return n - taken


def _release_all(lock, count):
    for _ in range(count):
        try:
            lock.release()
        except (RuntimeError, ValueError):
            break  # somebody has, in another way


class _StopEvent(threading.Event):
    """An Event whose set() also wakes the loop."""

    def __init__(self):
        super().__init__()
        self.descriptor, self._write = os.pipe()

    def set(self):
        if not self.is_set():
            super().set()
            os.write(self._write, b'x')

    def close(self):
        os.close(self.descriptor)
        os.close(self._write)


def _listen(address):
    try:
        return _connection.Listener(address, backlog=_BACKLOG)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not isinstance(address, str) or address.startswith('\0'):
            raise
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(address) != errno.ECONNREFUSED:
                raise
    os.unlink(address)  # left behind by a server that was killed
    return _connection.Listener(address, backlog=_BACKLOG)


_serving = weakref.WeakSet()


def _close_in_child():
    for server in list(_serving):
        server._close_in_child()
    _serving.clear()


os.register_at_fork(after_in_child=_close_in_child)


class Server(_standard.Server):
    """Serves the types of a registry at an address; address: where it does."""

    public = [*_standard.Server.public, 'open_session', 'join_session', 'give_back', 'goodbye']

    def __init__(self, registry, address, authkey, serializer, *, tls=None):
        if not isinstance(authkey, bytes):
            raise TypeError(f'authkey {authkey!r} is {type(authkey).__name__}, not bytes')
        self.registry = registry
        self.authkey = process.AuthenticationString(authkey)
        self.tls = tls
        self.server_id = secrets.token_hex(8)
        self._serializer = serializer
        if serializer == 'pickle':
            self.listener = _listen(address or f'\0skep-manager-{secrets.token_hex(16)}')
        else:
            self.listener = _standard.listener_client[serializer][0](address=address, backlog=_BACKLOG)
        self.address = self.listener.address
        self.stop_event = _StopEvent()
        self.id_to_obj = {'0': (None, ())}
        self.id_to_refcount = {}
        self.id_to_local_proxy_obj = {}
        self.mutex = threading.RLock()      # over all these tables; user code runs without it
        self._creating = {}                 # typeid -> lock: a type's callable is not called twice at once
        self._ours = _Holder()              # what objects of this server hold of each other
        self._nobody = _Holder()            # clients that are not known
        self._sessions = {}                 # id -> _Holder
        self._processes = {}                # pid of a client of the standard library -> _Holder
        self._connections = set()           # that are being served
        self._epoll = select.epoll()
        self._watched = {}                  # descriptor -> function
        self._numbers = itertools.count(1)

    # --- the loop -----------------------------------------------------------------------------------------------------------

    def serve_forever(self):
        """Serve until stop_event is set or a client asks for shutdown; ends with SystemExit."""
        process.current_process()._manager_server = self
        _serving.add(self)
        accepting = self.listener._listener._socket.fileno()
        self._epoll.register(accepting, select.EPOLLIN)
        self._epoll.register(self.stop_event.descriptor, select.EPOLLIN)
        parent = parent_process() if self._ends_with_parent else None
        if parent is not None:
            self.watch(parent.sentinel, select.EPOLLIN, self.stop_event.set)
        try:
            while not self.stop_event.is_set():
                for fd, _ in self._epoll.poll():
                    if fd == accepting:
                        self._accept()
                    elif fd != self.stop_event.descriptor:
                        self._watched.get(fd, lambda: None)()
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            self._close()
        sys.exit(0)

    _ends_with_parent = False

    def watch(self, fd, events, function):
        """Have the loop call function() once, when any of the events happens."""
        self._watched[fd] = function
        self._epoll.register(fd, events | select.EPOLLONESHOT)

    def unwatch(self, fd):
        self._watched.pop(fd, None)
        with contextlib.suppress(OSError, ValueError):
            self._epoll.unregister(fd)

    def _accept(self):
        try:
            connection = self.listener.accept()
        except OSError as error:
            util.info('a client could not be accepted: %s', error)
            time.sleep(_FULL_SECONDS)
            return
        try:
            threading.Thread(target=self.handle_request, args=(connection,), daemon=True).start()
        except RuntimeError as error:
            util.info('no thread for a client: %s', error)
            connection.close()

    def _close(self):
        self.stop_event.set()
        self.listener.close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                wire.hang_up(connection.fileno())
        with self.mutex:
            for holder in self._processes.values():
                os.close(holder.descriptor)
            self._processes.clear()
        self._epoll.close()
        self.stop_event.close()
        _serving.discard(self)
        if getattr(process.current_process(), '_manager_server', None) is self:
            del process.current_process()._manager_server

    def _close_in_child(self):
        """A forked child is no server, and no reason to take this one for alive."""
        for each in (self.listener._listener._socket, self._epoll, *self._connections):
            with contextlib.suppress(OSError):
                each.close()
        self._connections.clear()
        if getattr(process.current_process(), '_manager_server', None) is self:
            del process.current_process()._manager_server

    # --- one connection -----------------------------------------------------------------------------------------------------

    def handle_request(self, connection):
        """Serve one connection to its end."""
        self._connections.add(connection)
        stream = connection
        try:
            stream, is_ours = self._welcome(connection)
            self._connections.add(stream)
            dialect.standard = not is_ours
            client = _Client(self, stream, None if is_ours else self._process_of(connection), False)
            self._answer_one(client)
        except (EOFError, OSError, ClientGone, _connection.AuthenticationError) as error:
            util.info('a client has gone, or was refused: %r', error)
        except Exception:
            util.info('a client sent what cannot be understood: %s', traceback.format_exc())
        finally:
            self._connections -= {connection, stream}
            stream.close()
            connection.close()

    def _welcome(self, connection):
        if self._serializer == 'pickle':
            return wire.welcome(connection, self.authkey, self.tls)
        _connection.deliver_challenge(connection, self.authkey)
        _connection.answer_challenge(connection, self.authkey)
        return connection, False

    def _answer_one(self, client):
        """The request that a connection begins with, which may be to serve it."""
        try:
            _, function, args, kwds = client.stream.recv()
            if function not in self.public:
                raise AttributeError(f'{function!r} is no function of a manager')
            reply = '#RETURN', getattr(self, function)(client, *args, **kwds)
        except (EOFError, OSError, ClientGone):
            raise
        except Exception:
            reply = '#TRACEBACK', traceback.format_exc()
        if reply[1] is not _SERVED:
            self._send(client, reply)

    def _send(self, client, reply):
        try:
            if client.undo is not None:
                client.check()  # shared memory would take it all the same
            try:
                client.stream.send(reply)
            except (EOFError, OSError):
                raise
            except Exception:
                client.stream.send(('#UNSERIALIZABLE', traceback.format_exc()))
        except (EOFError, OSError, ClientGone):
            if client.undo is not None:
                client.undo()
            raise
        finally:
            client.undo = None

    def serve_client(self, client):
        """Answer the requests of one thread of a client, until it ends."""
        recv, reply_to, send = client.stream.recv, self._reply_to, self._send
        try:
            while not self.stop_event.is_set():
                try:
                    request = recv()
                except (EOFError, OSError):
                    break
                except Exception:
                    reply = '#TRACEBACK', traceback.format_exc()  # it cannot be unpickled
                else:
                    reply = reply_to(client, request)
                    del request
                if reply is not None:
                    send(client, reply)
                    del reply
        except (EOFError, OSError, ClientGone):
            pass
        finally:
            client.leave()

    def _reply_to(self, client, request):
        try:
            ident, method, args, kwds = request
            if ident is None:
                if method not in self.public:
                    raise AttributeError(f'{method!r} is no function of a manager')
                result = getattr(self, method)(client, *args, **kwds)
                return None if result is _SERVED else ('#RETURN', result)
            obj, exposed, types = self._object(ident)
            if method not in exposed:
                return self._fall_back(client, ident, obj, method, exposed, args, kwds)
            function = getattr(obj, method)
        except ClientGone:
            raise
        except Exception:
            return '#TRACEBACK', traceback.format_exc()
        try:
            waits = patient(obj, method)
            result = function(*args, **kwds) if waits is None else waits(obj, client, *args, **kwds)
        except ClientGone:
            raise
        except Exception as error:
            return _told(error)
        except BaseException:
            return '#TRACEBACK', traceback.format_exc()
        typeid = types and types.get(method)
        if not typeid:
            return '#RETURN', result
        try:
            ident, exposed = self.create(client, typeid, result)
        except Exception:
            return '#TRACEBACK', traceback.format_exc()
        token = _standard.Token(typeid, self.address, ident)
        return '#PROXY', (exposed, token) if dialect.standard else (exposed, token, name_of(self.registry[typeid][-1]))

    def _object(self, ident):
        try:
            return self.id_to_obj[ident]
        except KeyError:
            if ident in self.id_to_local_proxy_obj:
                return self.id_to_local_proxy_obj[ident]
            raise

    def _fall_back(self, client, ident, obj, method, exposed, args, kwds):
        try:
            if method not in self.fallback_mapping:
                raise AttributeError(f'method {method!r} of {type(obj)!r} object is not in exposed={exposed!r}')
            return '#RETURN', self.fallback_mapping[method](self, client, ident, obj, *args, **kwds)
        except Exception:
            return '#TRACEBACK', traceback.format_exc()

    # --- functions for clients; c is the _Client ----------------------------------------------------------------------------

    def accept_connection(self, c, name):
        """Serve a thread of a client of the standard library."""
        threading.current_thread().name = name
        c.stream.send(('#RETURN', None))
        self.serve_client(c)
        return _SERVED

    def open_session(self, c, idents):
        """The control connection of a client, which held these objects before."""
        holder = c.holder = _Holder()
        session_id = f'{next(self._numbers)}-{secrets.token_hex(8)}'
        missing = []
        with self.mutex:
            self._sessions[session_id] = holder
        try:
            for ident in idents:
                try:
                    self.incref(c, ident)
                except KeyError:
                    missing.append(ident)
            threading.current_thread().name = f'session {session_id}'
            c.stream.send(('#RETURN', (self.server_id, session_id, missing)))
            self.serve_client(c)
        finally:
            with self.mutex:
                del self._sessions[session_id]
            self._end(holder)
        return _SERVED

    def goodbye(self, c):
        """What this client has locked stays so when it ends."""
        c.holder.in_order = True
        return _SERVED

    def give_back(self, c, ident, count):
        """So many references less."""
        self._drop(c.holder, ident, count)
        return _SERVED

    def join_session(self, c, session_id, name):
        """Serve a thread of a client that has a session; through shared memory if it can."""
        c.holder = self._sessions[session_id]
        threading.current_thread().name = name
        ours, theirs = self._offer(c.stream)
        if theirs is None:
            c.stream.send(('#RETURN', None))
        else:
            try:
                c.stream.send(('#RETURN', (theirs.hive.identity, theirs.reference)))
                reduction.send_handle(c.stream.connection, theirs.hive.fd, None)
                if c.stream.recv():
                    c.stream = wire.MemoryStream(c.stream, ours)
            finally:
                theirs.close()
        c._keeps_locks = True
        try:
            self.serve_client(c)
        finally:
            c.stream.close()
        return _SERVED

    def _offer(self, stream):
        if not isinstance(stream, wire.Stream) or wire.peer_of(stream.connection)[1] != os.geteuid():
            return None, None
        return _connection.Connection.pair(default_hive(), True)

    def create(self, c, typeid, /, *args, **kwds):
        """Make an object, or find it: its ident, of which the client has one reference more, and its methods."""
        callable, exposed, method_to_typeid, _ = self.registry[typeid]
        with self.mutex:
            creating = self._creating.setdefault(typeid, threading.RLock())
        if callable is None:
            if kwds or len(args) != 1:
                raise ValueError('Without callable, must have one non-keyword argument')
            obj = args[0]
        else:
            with creating:
                obj = callable(*args, **kwds)
        if exposed is None:
            exposed = _standard.public_methods(obj)
        if method_to_typeid is not None:
            exposed = [*exposed, *method_to_typeid]
        ident = f'{id(obj):x}'
        with self.mutex:
            self.id_to_obj[ident] = obj, set(exposed), method_to_typeid
            self._take(c.holder, ident)
        return ident, tuple(exposed)

    def get_methods(self, c, token):
        """The names of an object's methods."""
        return tuple(self._object(token.id)[1])

    def incref(self, c, ident):
        """One reference more.  KeyError: no such object."""
        with self.mutex:
            if ident not in self.id_to_obj and ident in self.id_to_local_proxy_obj:
                self.id_to_obj[ident] = self.id_to_local_proxy_obj[ident]
            if ident == '0' or ident not in self.id_to_obj:
                raise KeyError(ident)
            self._take(c.holder, ident)

    def decref(self, c, ident):
        """One reference less."""
        self._drop(c.holder, ident, 1)

    def shutdown(self, c):
        """End the server."""
        try:
            c.stream.send(('#RETURN', None))
        finally:
            self.stop_event.set()
        return _SERVED

    # --- references and locks -----------------------------------------------------------------------------------------------

    def _take(self, holder, ident):
        """With the mutex."""
        self.id_to_refcount[ident] = self.id_to_refcount.get(ident, 0) + 1
        if holder is not None:
            holder.references[ident] = holder.references.get(ident, 0) + 1

    def _drop(self, holder, ident, count):
        with self.mutex:
            if holder is not None:
                count = min(count, holder.references.get(ident, 0))
                if not count:
                    return
                holder.references[ident] -= count
                if not holder.references[ident]:
                    del holder.references[ident]
            left = self.id_to_refcount[ident] - count
            if left > 0:
                self.id_to_refcount[ident] = left
                return
            del self.id_to_refcount[ident]
            gone = self.id_to_obj.pop(ident)
        del gone  # without the mutex: it may hold other objects of the server

    def _end(self, holder):
        """A client is gone."""
        with self.mutex:
            holder.has_ended = True
            references, locks = dict(holder.references), {} if holder.in_order else dict(holder.locks)
            holder.locks.clear()
        for lock, count in locks.values():
            _release_all(lock, count)
        for ident, count in references.items():
            self._drop(holder, ident, count)

    def note_lock(self, holder, lock):
        """@return False: its client is gone"""
        with self.mutex:
            if holder.has_ended and not holder.in_order:
                return False
            _count(holder.locks, lock)
            return True

    def forget_lock(self, holder, lock, n):
        """Released by this client, but perhaps acquired by another."""
        with self.mutex:
            for each in ([holder] if holder is not None else []) + list(self._sessions.values()):
                n = _uncount(each.locks, lock, n)

    def _process_of(self, connection):
        """The holder for a client of the standard library: its process, if the kernel tells."""
        if self._serializer != 'pickle':
            return self._nobody
        pid, _ = wire.peer_of(connection)
        with self.mutex:
            if pid in self._processes:
                return self._processes[pid]
            try:
                fd = os.pidfd_open(pid)
            except (OSError, AttributeError):
                return self._nobody
            holder = self._processes[pid] = _Holder()
            holder.descriptor = fd

        def ended():
            self.unwatch(fd)
            os.close(fd)
            with self.mutex:
                del self._processes[pid]
            self._end(holder)
        self.watch(fd, select.EPOLLIN, ended)
        return holder

    # --- proxies within the server ------------------------------------------------------------------------------------------

    def hold(self, ident):
        """For a proxy in this process."""
        with self.mutex:
            if ident not in self.id_to_obj:
                raise KeyError(ident)
            self._take(self._ours, ident)

    def drop(self, ident):
        """Such a proxy is gone."""
        self._drop(self._ours, ident, 1)

    def call_here(self, proxy, method, args, kwds):
        """A method of a proxy in this process: what a client would get, without a connection."""
        client = _Here(self)
        kind, result = self._reply_to(client, wire.loads(wire.dumps((proxy._id, method, args, kwds))))
        if kind == '#PROXY':
            exposed, token, *_ = result
            try:
                return self.registry[token.typeid][-1](token, proxy._serializer, exposed=exposed, manager_owned=True)
            finally:
                self.drop(token.id)
        return wire.result_of(wire.loads(wire.dumps((kind, result))))


class _Here:
    """The server as its own client."""

    undo = None

    def __init__(self, server):
        self.holder = server._ours

    def check(self):
        pass

    def acquired(self, lock, owned):
        pass

    released = acquired

    @contextlib.contextmanager
    def watched(self, function):
        yield


def _told(error):
    """The reply for what a method raised, with its traceback where that says anything."""
    trace = error.__traceback__.tb_next  # beginning in the method
    wrapped = error if trace is None else ExceptionWithTraceback(error, trace)
    if type(error).__module__ != 'builtins':
        try:
            pickle.loads(bytes(wire.dumps(wrapped)))  # some cannot be made again: arguments of __init__ that are not in args
        except Exception:
            return '#TRACEBACK', ''.join(traceback.format_exception(type(error), error, error.__traceback__))
    return '#ERROR', wrapped


_SERVED = object()  # there is nothing to answer
