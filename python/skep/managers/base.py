# SPDX-License-Identifier: Apache-2.0
"""BaseManager, and SyncManager with the types of multiprocessing, in a server process."""
import multiprocessing.connection as _sockets
import multiprocessing.managers as _standard
import queue
import signal
import threading

from multiprocessing import ProcessError, process, util
from multiprocessing.pool import ExceptionWithTraceback

from . import proxy as _proxies
from . import wire
from .proxy import own_proxytype
from .server import Server
from .session import client_for, peer_at

__all__ = ['BaseManager', 'SyncManager']


class BaseManager(_standard.BaseManager):
    """Objects in a server process, or in one at an address that others connect to.

        class Workshop(BaseManager): pass
        Workshop.register('Counter', Counter)

    address: (host, port), also of IPv6, the path of a Unix socket or '\\0name' of an abstract one; None: a name nobody else has.
    authkey: what both sides must have; None: this process's.  ctx: a context, for start().  shutdown_timeout: seconds until a server
    that does not end is terminated.

    tls, for addresses of a network: None, encrypt where the other side is skep, and talk to multiprocessing as it does; True, refuse
    whoever does not encrypt; False, do not encrypt.  What connections of None are worth stands in docs/managers.md.
    """

    _registry = {}
    _Server = Server

    def __init__(self, address=None, authkey=None, serializer='pickle', ctx=None, *, shutdown_timeout=1.0, tls=None):
        from ..context import _default_context
        if authkey is None:
            authkey = process.current_process().authkey
        self._address, self._authkey = address, process.AuthenticationString(authkey)
        self._state = _standard.State()
        self._state.value = _standard.State.INITIAL
        self._serializer = serializer
        self._Listener = _standard.listener_client[serializer][0]
        self._Client = client_for(serializer, tls)
        self._ctx = ctx or _default_context.get_context()
        self._shutdown_timeout = shutdown_timeout
        self._tls = tls
        self._process = None
        self._peer = None

    def _check_initial(self):
        if self._state.value == _standard.State.STARTED:
            raise ProcessError('Already started server')
        if self._state.value == _standard.State.SHUTDOWN:
            raise ProcessError('Manager has shut down')

    def _server_arguments(self):
        tls = {} if self._tls is None else {'tls': self._tls}
        return (self._registry, self._address, self._authkey, self._serializer), tls

    def get_server(self):
        """A server for this process, which serve_forever() runs; its address is bound already."""
        self._check_initial()
        arguments, tls = self._server_arguments()
        return self._Server(*arguments, **tls)

    def connect(self):
        """Use the server at the address.  AuthenticationError: the keys differ; ConnectionError, OSError: nobody there."""
        if self._found_peer().is_standard:
            super().connect()
        self._state.value = _standard.State.STARTED

    def _found_peer(self):
        """What is at the address; while this manager lives, the connection stays."""
        if self._peer is None:
            self._peer = peer_at(self._address, self._authkey, self._serializer, self._tls)
        return self._peer

    def start(self, initializer=None, initargs=()):
        """Start a server process.  What keeps it from serving is raised here.

        It ends with shutdown(), with this object, at the exit of this process, or when this process dies.
        """
        self._check_initial()
        if initializer is not None and not callable(initializer):
            raise TypeError('initializer must be a callable')
        reader, writer = _sockets.Pipe(duplex=False)
        self._process = self._ctx.Process(target=type(self)._run_server, args=(*self._server_arguments(), writer, initializer, initargs))
        self._process.name = type(self).__name__ + '-' + ':'.join(str(number) for number in self._process._identity)
        with reader:
            with writer:
                self._process.start()
            try:
                self._address = _raise_or_return(reader.recv())
            except EOFError:
                self._process.join()
                raise EOFError(f'the server process ended with exit code {self._process.exitcode} before it could serve') from None
            except BaseException:
                self._process.join()
                raise
        self._state.value = _standard.State.STARTED
        self.shutdown = util.Finalize(self, _end_server, (self._process, self._address, self._authkey, self._state, self._Client,
                                                          self._shutdown_timeout), exitpriority=0)

    @classmethod
    def _run_server(cls, arguments, tls, writer, initializer=None, initargs=()):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for the parent, which will shut us down
        try:
            if initializer is not None:
                initializer(*initargs)
            server = cls._Server(*arguments, **tls)
        except BaseException as error:
            writer.send(ExceptionWithTraceback(error, error.__traceback__))
            raise
        server._ends_with_parent = True
        with writer:
            writer.send(server.address)
        util.info('manager serving at %r', server.address)
        server.serve_forever()

    def __getstate__(self):
        return {**self.__dict__, '_peer': None}  # the receiver connects itself

    # --- objects ------------------------------------------------------------------------------------------------------------

    def _create(self, typeid, /, *args, **kwds):
        """Make an object: its token and the names of its methods."""
        assert self._state.value == _standard.State.STARTED, 'server not yet started'
        peer = self._found_peer()
        if peer.is_standard:
            return super()._create(typeid, *args, **kwds)
        ident, exposed = wire.result_of(peer.request(None, 'create', (typeid, *args), kwds))
        peer.granted(ident)
        return _standard.Token(typeid, self._address, ident), exposed

    def _make(self, typeid, proxytype, args, kwds):
        """Make an object and a proxy of it."""
        token, exposed = self._create(typeid, *args, **kwds)
        try:
            return proxytype(token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed)
        finally:
            if self._peer.is_standard:
                self._ask('decref', token.id)
            else:
                self._peer.drop(token.id)

    def _ask(self, function, *args):
        peer = self._found_peer()
        if not peer.is_standard:
            return peer.ask(function, *args)
        connection = self._Client(self._address, authkey=self._authkey)
        try:
            return _standard.dispatch(connection, None, function, args)
        finally:
            connection.close()

    def _debug_info(self):
        """Text about the objects of the server."""
        return self._ask('debug_info')

    def _number_of_objects(self):
        """How many objects the server has."""
        return self._ask('number_of_objects')

    @classmethod
    def register(cls, typeid, callable=None, proxytype=None, exposed=None, method_to_typeid=None, create_method=True):
        """Let managers of this class have objects of a type.

        typeid names it, and the method that makes one; callable makes it in the server, and is not needed in a client; proxytype is
        what a client gets, by default with the public methods, or those in exposed; method_to_typeid: methods whose results are
        to be objects of the server too.  create_method=False: only for such.
        """
        proxytype = own_proxytype(proxytype)
        super().register(typeid, callable, proxytype, exposed, method_to_typeid, create_method=False)
        if create_method:
            def make(self, /, *args, **kwds):
                return self._make(typeid, proxytype, args, kwds)
            make.__name__ = typeid
            make.__qualname__ = f'{cls.__qualname__}.{typeid}'
            make.__doc__ = f'A proxy of a new {typeid} in the server.'
            setattr(cls, typeid, make)


def _end_server(process, address, authkey, state, client, seconds):
    """Ask it to end; after so many seconds tell it; after as many again, kill it."""
    if process.is_alive():
        try:
            connection = client(address, authkey=authkey)
            try:
                _standard.dispatch(connection, None, 'shutdown')
            finally:
                connection.close()
        except Exception as error:
            util.info('the manager at %r could not be asked to end: %s', address, error)
        for harder in process.terminate, process.kill:
            process.join(seconds)
            if process.is_alive():
                harder()
        process.join()
    state.value = _standard.State.SHUTDOWN


def _raise_or_return(told):
    if isinstance(told, BaseException):
        raise told
    return told


class SyncManager(BaseManager, _standard.SyncManager):
    """multiprocessing's types as objects of a server, for clients on other machines too."""


def _pool(*args, **kwds):
    from ..pool import Pool
    return Pool(*args, **kwds)


for _typeid, _callable, _proxytype in (
        ('Queue', queue.Queue, None), ('JoinableQueue', queue.Queue, None), ('Event', threading.Event, _proxies.EventProxy),
        ('Lock', threading.Lock, _proxies.AcquirerProxy), ('RLock', threading.RLock, _proxies.AcquirerProxy),
        ('Semaphore', threading.Semaphore, _proxies.AcquirerProxy), ('BoundedSemaphore', threading.BoundedSemaphore, _proxies.AcquirerProxy),
        ('Condition', threading.Condition, _proxies.ConditionProxy), ('Barrier', threading.Barrier, _proxies.BarrierProxy),
        ('Pool', _pool, _proxies.PoolProxy), ('list', list, _proxies.ListProxy), ('dict', dict, _proxies.DictProxy),
        ('Value', _standard.Value, _proxies.ValueProxy), ('Array', _standard.Array, _proxies.ArrayProxy),
        ('Namespace', _standard.Namespace, _proxies.NamespaceProxy)):
    SyncManager.register(_typeid, _callable, _proxytype)
if hasattr(_proxies, 'SetProxy'):
    SyncManager.register('set', set, _proxies.SetProxy)
SyncManager.register('Iterator', proxytype=_proxies.IteratorProxy, create_method=False)
SyncManager.register('AsyncResult', create_method=False)
