# SPDX-License-Identifier: Apache-2.0
"""Managers with a server process: references, locks, deaths on both sides, strangers, encryption."""
import gc
import glob
import multiprocessing
import os
import pickle
import queue
import resource
import signal
import socket
import threading
import time

import manager_children
import numpy
import pytest
from manager_children import Counter, StandardWorkshop, Workshop

import skep
from skep import managers
from skep.managers import session, wire

KEY = b'a key for tests'


@pytest.fixture
def workshop():
    with Workshop(authkey=KEY) as manager:
        yield manager


@pytest.fixture(params=['memory', 'unix', 'plain TCP', 'TLS'])
def any_workshop(request, monkeypatch, tmp_path):
    """A manager for each way that its calls can take."""
    if request.param == 'unix':
        monkeypatch.setattr(managers.Server, '_offer', lambda self, stream: (None, None))
    networked = 'T' in request.param
    with Workshop(('127.0.0.1', 0) if networked else str(tmp_path / 'socket'), KEY, tls={'TLS': True, 'plain TCP': False}.get(request.param),
                  ctx=skep.get_context('fork')) as manager:
        yield manager


def wait_until(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not come true'
        time.sleep(0.01)


def kill(process):
    process.kill()
    process.join()


def link_of(proxy):
    proxy._callmethod('__repr__')
    return proxy._session._local.idle[-1]


# --- calls ----------------------------------------------------------------------------------------------------------------------

def test_calls_results_and_what_they_raise(any_workshop):
    counter = any_workshop.Counter(10)
    assert counter.add(5) == 15
    assert counter._callmethod('add', (), {'number': 2}) == 17
    assert counter.pid() == any_workshop._process.pid
    with pytest.raises(KeyError) as raised:
        counter.fail(KeyError('x'))
    assert raised.value.args == ('x',) and 'raise error' in str(raised.value.__cause__)
    with pytest.raises(managers.RemoteError, match='no_such'):
        counter._callmethod('no_such')
    assert counter.another().another().get() == 19
    assert list(counter.numbers()) == [0, 1, 2]
    assert 'Counter' in repr(counter)


def test_each_way_is_taken(any_workshop, request):
    link = link_of(any_workshop.Counter())
    way = request.node.callspec.params['any_workshop']
    assert type(link) is {'memory': wire.MemoryStream, 'TLS': wire.SecureStream}.get(way, wire.Stream)


def test_what_cannot_be_pickled_is_told_and_the_next_call_works(any_workshop):
    counter = any_workshop.Counter()
    with pytest.raises(managers.RemoteError, match='Unserializable'):
        counter.give_lambda()
    with pytest.raises((AttributeError, pickle.PicklingError)):
        counter.echo(lambda: 1)
    with pytest.raises(managers.RemoteError, match='Awkward'):
        counter.raise_awkward()
    with pytest.raises(managers.RemoteError, match='SystemExit'):
        counter.leave()
    assert counter.add() == 1


def test_arrays_of_every_size_come_back_whole(any_workshop):
    counter = any_workshop.Counter()
    arrays = [numpy.arange(count, dtype=dtype) for count, dtype in ((0, 'i4'), (3, 'u1'), (5000, 'f8'), (3 << 20, 'i4'))]
    for array, back in zip(arrays, counter.echo(arrays)):
        assert back.dtype == array.dtype and numpy.array_equal(array, back)
    back[0] = 7  # it is ours
    many = [numpy.full(4, number) for number in range(100)]
    assert all(numpy.array_equal(one, other) for one, other in zip(many, counter.echo(many)))
    assert len(counter.echo(bytes(1 << 20))) == 1 << 20


def test_an_interrupted_call_does_not_spoil_the_next(any_workshop):
    counter = any_workshop.Counter()

    def interrupt(signum, frame):
        raise InterruptedError

    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(Exception):
            counter.sleep(1)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert counter.add(3) == 3


def test_a_call_within_a_call(workshop):
    counter = workshop.Counter()

    class Nosy:
        def __reduce__(self):
            return int, (counter.add(1),)

    assert counter.echo([Nosy(), Nosy()]) == [1, 2]


def test_threads_wait_for_themselves_only(any_workshop):
    counter, items = any_workshop.Counter(), any_workshop.Queue()
    got = []
    threads = [threading.Thread(target=lambda: got.append(items.get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(100):
        assert counter.add() == number + 1
    for number in range(3):
        items.put(number)
    for thread in threads:
        thread.join()
    assert sorted(got) == [0, 1, 2]


# --- references -----------------------------------------------------------------------------------------------------------------

def test_an_object_goes_with_its_last_proxy(workshop):
    first, second = workshop.Counter(), workshop.Counter()
    assert workshop._number_of_objects() == 2
    again = pickle.loads(pickle.dumps(first))
    del first
    gc.collect()
    assert again.add() == 1 and workshop._number_of_objects() == 2
    del again
    gc.collect()
    assert workshop._number_of_objects() == 1
    del second


def test_an_object_that_a_method_returned_goes_too(workshop):
    counter = workshop.Counter()
    for _ in range(3):
        assert counter.another().get() == 1
    gc.collect()
    assert workshop._number_of_objects() == 1


def test_a_proxy_within_a_list_is_freed_with_it(workshop):
    outer, inner = workshop.list(), workshop.list([1])
    outer.append(inner)
    del inner
    gc.collect()
    assert workshop._number_of_objects() == 2
    assert outer[0][:] == [1]
    outer[0].append(2)
    assert str(outer[0]) == '[1, 2]'
    del outer
    gc.collect()
    wait_until(lambda: workshop._number_of_objects() == 0)


def test_a_proxy_in_a_list_is_reached_by_the_address_that_the_client_knows():
    server = Workshop(('0.0.0.0', 0), KEY).get_server()
    threading.Thread(target=lambda: pytest.raises(SystemExit, server.serve_forever), daemon=True).start()
    try:
        client = Workshop(('127.0.0.1', server.address[1]), KEY)
        client.connect()
        outer = client.list([client.list([1])])
        assert outer[0][0] == 1
    finally:
        server.stop_event.set()


def test_a_client_that_dies_gives_back_what_it_held(workshop, context, cls=Workshop):
    here, there = context.Pipe()
    process = context.Process(target=manager_children.hold_and_wait, args=(workshop.address, KEY, cls, there))
    process.start()
    assert here.recv() == [0, 0, 0]
    assert workshop._number_of_objects() == 3
    kill(process)
    wait_until(lambda: workshop._number_of_objects() == 0)


def test_so_does_one_of_the_standard_library_on_this_machine(tmp_path):
    with Workshop(str(tmp_path / 'socket'), KEY) as workshop:
        test_a_client_that_dies_gives_back_what_it_held(workshop, skep.get_context('spawn'), StandardWorkshop)


def test_a_child_keeps_what_its_parent_drops(workshop, context):
    counter = workshop.Counter()
    here, there = context.Pipe()
    process = context.Process(target=manager_children.add_after, args=(counter, there))
    process.start()
    del counter
    gc.collect()
    time.sleep(0.2)
    here.send('go')
    assert here.recv() == 5
    process.join()
    del process
    gc.collect()
    wait_until(lambda: workshop._number_of_objects() == 0)


def test_a_plain_fork_takes_over_when_it_first_calls(workshop):
    counter = workshop.Counter()
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.read(read, 1)
        os._exit(0 if counter.add(2) == 2 else 1)
    del counter
    gc.collect()
    assert workshop._number_of_objects() == 1  # until the child has decided
    os.write(write, b'x')
    assert os.waitpid(pid, 0)[1] == 0
    os.close(read)
    os.close(write)
    other = workshop.Counter()
    del other
    gc.collect()
    wait_until(lambda: workshop._number_of_objects() == 0)


def test_methods_that_return_proxies_in_a_child(workshop, run):
    run(manager_children.add_in_child, workshop.Counter())


# --- locks and waits of the dead --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('kind', ['Lock', 'RLock', 'Semaphore', 'BoundedSemaphore', 'Condition'])
def test_a_lock_of_a_killed_client_is_free_again(workshop, kind):
    lock = getattr(workshop, kind)()
    here, there = skep.Pipe()
    process = skep.Process(target=manager_children.acquire_and_die, args=(lock, there))
    process.start()
    assert here.recv() == 'acquired'
    assert lock.acquire(True, 10)
    lock.release()
    process.join()


def test_a_lock_stays_with_a_client_that_ends_in_order(workshop, context):
    lock = workshop.Lock()
    process = context.Process(target=lock.acquire)
    process.start()
    process.join()
    assert not lock.acquire(False)
    lock.release()
    with pytest.raises(RuntimeError):
        lock.release()


def test_a_lock_released_by_another_is_not_given_back_twice(workshop):
    lock = workshop.Semaphore(0)
    workshop_lock = workshop.Lock()
    here, there = skep.Pipe()
    process = skep.Process(target=manager_children.wait_in_a_thread_and_hold, args=(lock.acquire, workshop_lock, there))
    process.start()
    assert here.recv() == 'ready'
    workshop_lock.release()
    assert workshop_lock.acquire(True, 5)  # now it is ours
    kill(process)
    time.sleep(0.2)
    assert not workshop_lock.acquire(False)


def test_a_killed_client_that_waits_takes_nothing(workshop):
    items, lock = workshop.Queue(), workshop.Lock()
    here, there = skep.Pipe()
    process = skep.Process(target=manager_children.wait_in_a_thread_and_hold, args=(items.get, lock, there))
    process.start()
    assert here.recv() == 'ready'
    kill(process)
    assert lock.acquire(True, 10)  # given back although its other thread waits
    items.put('for the living')
    assert items.get(timeout=10) == 'for the living'


def test_a_barrier_breaks_when_a_client_that_waits_is_killed(workshop):
    barrier = workshop.Barrier(3)
    here, there = skep.Pipe()
    process = skep.Process(target=manager_children.wait_for, args=(barrier.wait, there))
    process.start()
    here.recv()
    wait_until(lambda: barrier.n_waiting == 1)
    kill(process)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(10)


def test_waits_end_in_time_and_when_served(workshop):
    items, event, condition = workshop.Queue(1), workshop.Event(), workshop.Condition()
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        items.get(timeout=0.7)
    items.put(1)
    with pytest.raises(queue.Full):
        items.put(2, timeout=0.1)
    with pytest.raises(queue.Full):
        items.put_nowait(2)
    assert not event.wait(0.1)
    with condition:
        assert not condition.wait(0.1)
    assert 1 <= time.monotonic() - begin < 10
    threading.Timer(0.7, event.set).start()
    assert event.wait()
    threading.Timer(0.7, items.get).start()
    items.put(3)


# --- the server ends ------------------------------------------------------------------------------------------------------------

def test_a_killed_server_ends_calls_with_a_clear_error(any_workshop):
    counter = any_workshop.Counter()
    counter.add()
    threading.Timer(0.3, any_workshop._process.kill).start()
    with pytest.raises(managers.ConnectionLostError, match='ended before it answered') as raised:
        counter.sleep(20)
    assert raised.value.may_have_run
    for _ in range(2):
        with pytest.raises(managers.ConnectionLostError) as raised:
            counter.add()
    assert not raised.value.may_have_run
    assert isinstance(raised.value, ConnectionError) and isinstance(raised.value, EOFError)
    assert pickle.loads(pickle.dumps(raised.value)).args == raised.value.args


def test_a_server_ends_with_its_parent():
    here, there = skep.Pipe()
    process = skep.Process(target=manager_children.start_and_say, args=(there,))
    process.start()
    pid, address = here.recv()
    server = os.pidfd_open(pid)
    kill(process)
    assert multiprocessing.connection.wait([server], 10)
    os.close(server)
    with pytest.raises(OSError):
        Workshop(address, KEY).connect()


def test_shutdown_leaves_nothing(tmp_path):
    def traces():
        gc.collect()
        return (set(glob.glob('/dev/shm/*')), len(os.listdir('/proc/self/fd')), threading.active_count(), len(skep.active_children()))

    skep.default_hive()
    before = traces()
    path = str(tmp_path / 'socket')
    manager = Workshop(path, KEY)
    manager.start()
    counter = manager.Counter()
    assert counter.add() == 1
    manager.shutdown()
    manager.shutdown()
    assert manager._process.exitcode == 0
    assert not os.path.exists(path)
    with pytest.raises(managers.ConnectionLostError):
        counter.add()
    with pytest.raises(skep.ProcessError):
        manager.start()
    del counter, manager
    assert traces() == before


def test_a_server_in_this_process_leaves_nothing(tmp_path):
    def serve(server):
        with pytest.raises(SystemExit):
            server.serve_forever()

    def once(number):
        server = Workshop(str(tmp_path / f'socket{number}'), KEY).get_server()
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        client = StandardWorkshop(server.address, KEY)
        client.connect()
        assert client.Counter().add() == 1
        server.stop_event.set()
        thread.join()
        server.stop_event.set()

    once(0)
    before = len(os.listdir('/proc/self/fd'))
    for number in range(1, 4):
        once(number)
    gc.collect()
    wait_until(lambda: len(os.listdir('/proc/self/fd')) <= before)


def test_an_address_is_free_again_also_after_a_kill(tmp_path):
    path = str(tmp_path / 'socket')
    with Workshop(path, KEY):
        with pytest.raises(OSError):
            Workshop(path, KEY).start()
    with Workshop(path, KEY) as manager:
        kill(manager._process)
    assert os.path.exists(path)
    with Workshop(path, KEY) as manager:
        assert manager.Counter().add() == 1
        address = manager.address
    with Workshop(('127.0.0.1', 0), KEY) as manager:
        manager.Counter().add()
        address = manager.address
    with Workshop(address, KEY) as manager:
        assert manager.Counter().add() == 1


def test_what_keeps_a_server_from_serving_is_raised(context):
    manager = Workshop(authkey=KEY, ctx=context)
    with pytest.raises(LookupError, match='no such thing'):
        manager.start(manager_children.fail_to_initialize)
    with pytest.raises(EOFError, match='exit code -9'):
        Workshop(authkey=KEY, ctx=context).start(manager_children.die)
    with pytest.raises(TypeError):
        Workshop().start(initializer=1)


def test_a_client_goes_on_with_the_next_server_at_the_address(tmp_path):
    path = str(tmp_path / 'socket')
    first = Workshop(path, KEY)
    first.start()
    client = Workshop(path, KEY)
    client.connect()
    assert client.Counter().add() == 1
    kill(first._process)
    second = Workshop(path, KEY)
    second.start()
    with pytest.raises(managers.ConnectionLostError):
        client.Counter()
    assert client.Counter().add() == 1
    second.shutdown()


# --- strangers ------------------------------------------------------------------------------------------------------------------

def test_a_wrong_key_is_refused():
    for address in None, ('127.0.0.1', 0):
        with Workshop(address, KEY) as manager:
            with pytest.raises(skep.AuthenticationError):
                Workshop(manager.address, b'another').connect()
            assert manager.Counter().add() == 1


def test_a_server_lives_on_whatever_it_is_told(any_workshop):
    counter = any_workshop.Counter()
    stream = link_of(counter)
    for request in (None, 5, 'text', (), (1, 2, 3), (None, 'no_such', (), {}), (None, '__init__', (), {}), (counter._id, 'add', 5, {}),
                    (counter._id, 'add', (), 5), (counter._id, [], (), {}), ([], 'add', (), {}), ('nobody', 'add', (), {}),
                    (None, 'incref', ('nobody',), {}), (None, 'create', ('NoSuchType',), {}), (None, 'join_session', ('nobody', 'x'), {})):
        stream.send(request)
        kind, _ = stream.recv()
        assert kind in ('#TRACEBACK', '#ERROR'), request
    assert counter.add() == 1


@pytest.mark.parametrize('said', [b'', b'\0', b'\0\0\0\5ab', b'\xff\xff\xff\xff' + bytes(8), b'\x7f\xff\xff\xff', b'GET / HTTP/1.1\r\n\r\n',
                                  b'\0\0\0\x0a#SKEP-TLS#', b'\0\0\0\x0a#SKEP-TLS#\x16\x03\x01\xff\xff', bytes(300)])
def test_strangers_and_half_frames_disturb_nobody(said):
    with Workshop(('127.0.0.1', 0), KEY) as manager:
        strangers = []
        for _ in range(5):
            strangers.append(socket.create_connection(manager.address))
            strangers[-1].sendall(said)
        assert manager.Counter().add() == 1
        for stranger in strangers:
            stranger.close()
        assert manager.Counter().add() == 1


def test_a_client_that_does_not_go_on_is_dropped(monkeypatch):
    monkeypatch.setattr(wire, 'HANDSHAKE_SECONDS', 1)
    with Workshop(('127.0.0.1', 0), KEY, ctx=skep.get_context('fork')) as manager:
        for said in b'', b'\0\0', b'\0\0\0\x0a#SKEP-TLS#':
            with socket.create_connection(manager.address) as stranger:
                stranger.sendall(said)
                stranger.settimeout(10)
                while stranger.recv(100):
                    pass  # the challenge


def test_a_thousand_connections(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2500:
        pytest.skip('no 2500 descriptors here')
    resource.setrlimit(resource.RLIMIT_NOFILE, (2500, hard))
    try:
        with Workshop(str(tmp_path / 'socket'), KEY, ctx=skep.get_context('fork')) as manager:
            counter = manager.Counter()
            idle = [wire.connect(manager.address, KEY, None)[0] for _ in range(1000)]
            for stream in idle[::100]:
                assert wire.ask(stream, 'number_of_objects') == 1
            assert counter.add() == 1
            for stream in idle:
                stream.close()
            fds = f'/proc/{manager._process.pid}/fd'
            wait_until(lambda: len(os.listdir(fds)) < 50)
            assert counter.add() == 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_client_that_does_not_read_holds_up_nobody():
    with Workshop(('127.0.0.1', 0), KEY, tls=False) as manager:
        counter = manager.Counter()
        stream, _ = wire.connect(manager.address, KEY, False)
        wire.ask(stream, 'accept_connection', 'slow')
        for _ in range(5):
            stream.send((counter._id, 'echo', (bytes(4 << 20),), {})) if _ == 0 else None
        for number in range(100):
            assert counter.add() == number + 1
        stream.close()


# --- encryption -----------------------------------------------------------------------------------------------------------------

class Relay:
    """Between a client and a server: what it has seen, and changed."""

    def __init__(self, address, change=lambda data: data):
        self.seen = bytearray()
        self._change, self._target = change, address
        self._listener = socket.create_server(('127.0.0.1', 0))
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for source, target in (client, server), (server, client):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source, target):
        try:
            while data := source.recv(1 << 16):
                self.seen += data
                target.sendall(self._change(data))
        except OSError:
            pass
        for end in source, target:
            end.close()

    def close(self):
        self._listener.close()


def call_through(relay, tls=None):
    client = Workshop(relay.address, KEY, tls=tls)
    client.connect()
    return client.Counter().echo('a secret that should not be seen')


@pytest.mark.parametrize('tls', [None, True, False])
def test_nothing_is_seen_on_the_way_unless_asked_for(tls):
    with Workshop(('127.0.0.1', 0), KEY) as manager:
        relay = Relay(manager.address)
        assert call_through(relay, tls) == 'a secret that should not be seen'
        assert (b'a secret' in relay.seen) == (tls is False)
        relay.close()


@pytest.mark.parametrize('tls', [None, True])
@pytest.mark.parametrize('taken', ['mark', 'offer'])
def test_nobody_on_the_way_can_talk_them_out_of_it(tls, taken):
    mark = wire._MARKS[b'server']

    def take(data):
        at = data.find(mark)
        if at < 0:
            return data
        return data.replace(mark, os.urandom(15)) if taken == 'mark' else data[:at + 15] + b'\0' + data[at + 16:]

    with Workshop(('127.0.0.1', 0), KEY) as manager:
        relay = Relay(manager.address, take)
        with pytest.raises(skep.AuthenticationError):
            call_through(relay, tls)
        relay.close()
        assert manager.Counter().add() == 1


def test_a_changed_byte_ends_the_connection():
    changed = []

    def change(data):
        if len(data) > 2000:
            changed.append(True)
            return data[:1000] + bytes([data[1000] ^ 1]) + data[1001:]
        return data

    with Workshop(('127.0.0.1', 0), KEY) as manager:
        relay = Relay(manager.address, change)
        client = Workshop(relay.address, KEY)
        client.connect()
        counter = client.Counter()
        with pytest.raises(managers.ConnectionLostError):
            counter.echo(bytes(10000))
        assert changed and manager.Counter().add() == 1
        relay.close()


def test_both_sides_may_demand_encryption():
    with StandardWorkshop(('127.0.0.1', 0), KEY) as manager:
        with pytest.raises(skep.AuthenticationError, match='does not offer encryption'):
            Workshop(manager.address, KEY, tls=True).connect()
        Workshop(manager.address, KEY).connect()
    with Workshop(('127.0.0.1', 0), KEY, tls=True) as manager:
        for stranger in StandardWorkshop(manager.address, KEY), Workshop(manager.address, KEY, tls=False):
            with pytest.raises(skep.AuthenticationError):
                stranger.connect()
        numbers = manager.list([1])
        assert pickle.loads(pickle.dumps(numbers))[0] == 1
    with Workshop(('127.0.0.1', 0), KEY, tls=False) as manager:
        with pytest.raises(skep.AuthenticationError, match='does not offer encryption'):
            Workshop(manager.address, KEY, tls=True).connect()


def test_a_challenge_of_a_client_is_not_answered():
    """Which somebody might want to send to a second client, to pose as a server to the first."""
    listener = skep.connection.Listener(('127.0.0.1', 0))

    def send_back():
        connection = listener.accept()
        connection.send_bytes(skep.connection.CHALLENGE + wire._challenge(b'client', 0))
        with pytest.raises((EOFError, OSError)):
            connection.recv_bytes()
        connection.close()

    thread = threading.Thread(target=send_back)
    thread.start()
    with pytest.raises(skep.AuthenticationError, match='of a client'):
        Workshop(listener.address, KEY).connect()
    thread.join()
    listener.close()


# --- with the standard library ---------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('address', [None, ('127.0.0.1', 0)])
@pytest.mark.parametrize('server, client', [(StandardWorkshop, Workshop), (Workshop, StandardWorkshop)])
def test_either_side_may_be_the_standard_library(server, client, address):
    with server(address, KEY) as serving:
        user = client(serving.address, KEY)
        user.connect()
        counter = user.Counter(3)
        assert counter.add(4) == 7 and counter.another().get() == 8
        assert list(counter.numbers()) == [0, 1, 2]
        with pytest.raises(KeyError):
            counter.fail(KeyError('x'))
        outer, inner = user.list(), user.dict(a=1)
        outer.append(inner)
        multiprocessing.current_process().authkey, kept = KEY, multiprocessing.current_process().authkey
        try:
            assert outer[0]['a'] == 1
            outer[0]['a'] = 2
            assert inner.copy() == {'a': 2}
        finally:
            multiprocessing.current_process().authkey = kept
        space = user.Namespace(x=1)
        space.y = 2
        assert (space.x, space.y) == (1, 2)
        with user.Lock():
            pass


def test_own_and_standard_proxy_types_both_work():
    class Proxy(multiprocessing.managers.BaseProxy):
        _exposed_ = ('add',)

        def add_twice(self):
            self._callmethod('add', (1,))
            return self._callmethod('add', (1,))

    class Own(managers.BaseManager):
        pass

    Own.register('Counter', Counter, Proxy)
    Own.register('Space', managers.Namespace, multiprocessing.managers.NamespaceProxy)
    with Own(ctx=skep.get_context('fork')) as manager:
        counter = manager.Counter()
        assert counter.add_twice() == 2
        assert isinstance(counter, Proxy) and isinstance(counter, managers.BaseProxy)
        space = manager.Space(x=1)
        assert type(space) is managers.NamespaceProxy and space.x == 1


def test_sessions_end_with_their_last_user():
    with Workshop(authkey=KEY) as manager:
        counter = manager.Counter()
        address = manager.address
        assert session.peer_at(address, KEY) is counter._session
        server_id = counter._session.server_id
        assert session.session_with(server_id) is counter._session
    del manager, counter
    gc.collect()
    assert session.session_with(server_id) is None
