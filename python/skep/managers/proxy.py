# SPDX-License-Identifier: Apache-2.0
"""Proxies: what stands for an object of a manager's server in its clients.

They are subclasses of the standard library's.  With a server of skep they call through a Session; with one of the standard
library they are what their base classes are.  Beyond those:

* a proxy that is unpickled finds the server by whatever address and key this process already has a session with it;
* within the server itself a proxy (in a managed list, say) calls its object directly, and frees it with the list;
* a method that returns proxies can be called in a child too, and on proxies that came out of other proxies.
"""
import multiprocessing.managers as _standard
import sys
import threading
import weakref

from multiprocessing import process, util
from multiprocessing.context import get_spawning_popen

from ..hive import _keep_until_child_ends
from . import wire
from .session import peer_at, session_with

__all__ = ['AutoProxy', 'BaseProxy', 'MakeProxyType', 'RebuildProxy']

class _Dialect(threading.local):
    standard = False  # what this thread pickles is for a peer of the standard library


dialect = _Dialect()


class BaseProxy(_standard.BaseProxy):
    """A base for proxies of shared objects: methods call self._callmethod(name, args, kwds)."""

    _session = _server = None

    def __init__(self, token, serializer, manager=None, authkey=None, exposed=None, incref=True, manager_owned=False):
        if manager_owned:
            self._server = process.current_process()._manager_server
        else:
            peer, authkey = _peer_for(token, serializer, manager, authkey)
            if peer.is_standard:
                self._peer = peer
                super().__init__(token, serializer, manager, authkey, exposed, incref)
                return
            self._session = peer
        self._token, self._id, self._serializer, self._manager = token, token.id, serializer, manager
        self._authkey = process.AuthenticationString(authkey or b'')
        self._owned_by_manager = manager_owned
        if incref or manager_owned:
            self._incref()

    def _incref(self):
        holder = self._server or self._session
        if holder is None:
            self._Client = self._peer.client
            super()._incref()
            return
        holder.hold(self._id)
        weakref.finalize(self, holder.drop, self._id).atexit = False

    def _callmethod(self, methodname, args=(), kwds={}):
        """Call a method of the referent; a copy of the result, or what it raised."""
        session = self._session
        if session is not None:
            kind, result = session.request(self._id, methodname, args, kwds)
            if kind == '#RETURN':
                return result
            if kind == '#PROXY':
                return self._proxy_of(*result)
            return wire.result_of((kind, result))
        if self._server is not None:
            return self._server.call_here(self, methodname, args, kwds)
        dialect.standard = True
        try:
            return super()._callmethod(methodname, args, kwds)
        finally:
            dialect.standard = False

    def _proxy_of(self, exposed, token, named):
        """A proxy of what a method returned, and the server has counted a reference of."""
        session = self._session
        session.granted(token.id)
        try:
            token.address = session.address
            proxytype = _type_in(getattr(self._manager, '_registry', {}), token.typeid) or _type_named(*named)
            return proxytype(token, self._serializer, manager=self._manager, authkey=self._authkey, exposed=exposed)
        finally:
            session.drop(token.id)

    def __reduce__(self):
        names = {}
        popen = get_spawning_popen()
        if popen is not None:
            names['authkey'] = self._authkey
            _keep_until_child_ends(popen, self)
        auto = getattr(self, '_isauto', False)
        if auto:
            names['exposed'] = self._exposed_
        if dialect.standard:
            cls = _standard.AutoProxy if auto else _standard_class_of(type(self))
            return _standard.RebuildProxy, (cls, self._token, self._serializer, names)
        if self._session is not None or self._server is not None:
            names['server'] = (self._session or self._server).server_id
        if getattr(self._manager, '_tls', None) is not None:
            names['tls'] = self._manager._tls
        return RebuildProxy, (AutoProxy if auto else _named_class_of(type(self)), self._token, self._serializer, names)


class _Terms:
    """In the place of a manager, for the proxies of one that was given tls=."""

    _registry, _state = {}, None

    def __init__(self, tls):
        self._tls = tls
        self._authkey = process.current_process().authkey


def _peer_for(token, serializer, manager, authkey):
    """Who has the object, and the key for him."""
    if authkey is None:
        authkey = manager._authkey if manager is not None else process.current_process().authkey
    return peer_at(token.address, authkey, serializer, getattr(manager, '_tls', None)), authkey


def _type_in(registry, typeid):
    return registry[typeid][-1] if typeid in registry else None


def name_of(proxytype):
    """(module, name), for a process that has not registered it."""
    cls = _named_class_of(proxytype) if isinstance(proxytype, type) else proxytype
    return getattr(cls, '__module__', None), getattr(cls, '__qualname__', None)


def _type_named(module, name):
    """AutoProxy if this process has not loaded it."""
    return own_proxytype(getattr(sys.modules.get(module), str(name), None))


def server_here():
    """The server that this process is, or None."""
    return getattr(process.current_process(), '_manager_server', None)


def RebuildProxy(func, token, serializer, kwds):
    """Unpickle a proxy.  ConnectionLostError, RemoteError: server or object are gone."""
    kwds = dict(kwds)
    server_id, tls = kwds.pop('server', None), kwds.pop('tls', None)
    func = own_proxytype(func)
    server = server_here()
    if server is not None and (server_id == server.server_id if server_id else server.address == token.address):
        return func(token, serializer, **{**kwds, 'manager_owned': True, 'incref': False})
    session = server_id and session_with(server_id)
    if session:
        token.address, kwds['authkey'] = session.address, session.authkey
        tls = session.tls
    return func(token, serializer, **kwds, manager=None if tls is None else _Terms(tls))


# --- types ------------------------------------------------------------------------------------------------------------------

_own_types = weakref.WeakKeyDictionary()  # class of the standard library, or derived from such -> ours
_made = {}                                # (name, exposed) -> class


def own_proxytype(proxytype):
    """The proxy type to use for one that was given; None: AutoProxy."""
    if proxytype is None or proxytype is _standard.AutoProxy:
        return AutoProxy
    if not isinstance(proxytype, type) or not issubclass(proxytype, _standard.BaseProxy) or issubclass(proxytype, BaseProxy):
        return proxytype
    if proxytype.__module__ == _standard.__name__ and hasattr(_package(), proxytype.__name__):
        return getattr(_package(), proxytype.__name__)
    if proxytype not in _own_types:
        _own_types[proxytype] = type(proxytype.__name__, (proxytype, BaseProxy), {'__module__': proxytype.__module__, '_made_of': proxytype})
    return _own_types[proxytype]


def _package():
    from .. import managers
    return managers


def _named_class_of(cls):
    """What pickle finds by name."""
    return cls.__dict__.get('_made_of', cls)


def _standard_class_of(cls):
    """What a peer without skep has too, if anything."""
    cls = _named_class_of(cls)
    if cls.__module__.startswith(__package__):
        return next(base for base in cls.__mro__ if not base.__module__.startswith(__package__))
    return cls


def MakeProxyType(name, exposed, _cache={}):
    """A proxy type with these methods."""
    key = name, tuple(exposed)
    if key not in _made:
        _made[key] = type(name, (_standard.MakeProxyType(*key), BaseProxy), {})
    return _made[key]


def AutoProxy(token, serializer, manager=None, authkey=None, exposed=None, incref=True, manager_owned=False):
    """A proxy with the public methods of its object, which the server is asked for unless they are given."""
    if exposed is None:
        if manager_owned:
            exposed = server_here().get_methods(None, token)
        else:
            peer, authkey = _peer_for(token, serializer, manager, authkey)
            if peer.is_standard:
                connection = peer.client(token.address, authkey=authkey)
                try:
                    exposed = _standard.dispatch(connection, None, 'get_methods', (token,))
                finally:
                    connection.close()
            else:
                exposed = peer.ask('get_methods', token)
    proxy = MakeProxyType(f'AutoProxy[{token.typeid}]', exposed)(token, serializer, manager=manager, authkey=authkey, incref=incref,
                                                                   manager_owned=manager_owned)
    proxy._isauto = True
    return proxy


class IteratorProxy(_standard.IteratorProxy, BaseProxy):
    """Of a generator or another iterator."""


class AcquirerProxy(_standard.AcquirerProxy, BaseProxy):
    """Of a lock or semaphore."""


class ConditionProxy(_standard.ConditionProxy, AcquirerProxy):
    """Of a condition."""


class EventProxy(_standard.EventProxy, BaseProxy):
    """Of an event."""


class BarrierProxy(_standard.BarrierProxy, BaseProxy):
    """Of a barrier."""


class NamespaceProxy(_standard.NamespaceProxy, BaseProxy):
    """Of a namespace: attributes."""


class ValueProxy(_standard.ValueProxy, BaseProxy):
    """Of a value: get, set, value."""


class ListProxy(_standard.ListProxy, BaseProxy):
    """Of a list."""


class DictProxy(_standard.DictProxy, BaseProxy):
    """Of a dict."""


class ArrayProxy(_standard.ArrayProxy, BaseProxy):
    """Of an array.array."""


class PoolProxy(_standard.PoolProxy, BaseProxy):
    """Of a pool."""


for _name in 'SetProxy',:  # of later versions of Python
    if hasattr(_standard, _name):
        globals()[_name] = type(_name, (getattr(_standard, _name), BaseProxy), {'__module__': __name__})

__all__ += [name for name, value in list(globals().items()) if isinstance(value, type) and issubclass(value, BaseProxy) and name not in __all__]
