# SPDX-License-Identifier: Apache-2.0
"""The hive of another process, over a connection: `skep serve` in one, skep.connect() in the other."""
import errno
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Empty

import pytest
import remote_children
from remote_children import Point

import skep
from skep import synchronize

numpy = pytest.importorskip('numpy')
COMMAND = Path(os.environ.get('SKEP_BUILD', 'build')) / 'bin/skep'
KEY = b'a key of sixteen'


def serve_for_a_test(kind, tmp_path):
    with serve(tmp_path, 'tcp://127.0.0.1:0' if kind == 'tcp' else f'unix:{tmp_path}/socket') as server:
        yield server.address
        server.terminate()
        assert server.wait(10) == 0


@pytest.fixture(params=['tcp', 'unix'])
def served(request, tmp_path):
    yield from serve_for_a_test(request.param, tmp_path)


def serve(tmp_path, address, *hive):
    key = tmp_path / 'key'
    key.write_bytes(KEY)
    key.chmod(0o600)
    server = subprocess.Popen([COMMAND, 'serve', '--listen', address, '--authkey-file', key, *hive], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
    server.address = server.stdout.readline().strip()
    return server


def client(function, address, tmp_path):
    return subprocess.Popen([sys.executable, remote_children.__file__, function, address, tmp_path / 'key'], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def pair(served):
    """Two clients."""
    with skep.connect(served, KEY, timeout=20) as one, skep.connect(served, KEY, timeout=20) as two:
        yield one, two


@pytest.fixture(params=['tcp', 'unix', 'local'])
def two_ends(request, name, tmp_path):
    """Two ways into one hive: by the network or through memory."""
    if request.param == 'local':
        with skep.Hive.create(name, capacity=32 << 20) as one, skep.Hive.open(name) as two:
            yield one, two
        return
    for address in serve_for_a_test(request.param, tmp_path):
        with skep.connect(address, KEY, timeout=20) as one, skep.connect(address, KEY, timeout=20) as two:
            yield one, two


@pytest.fixture
def name():
    return f'test-remote-{os.getpid()}'


def test_a_queue_from_afar(served):
    with skep.connect(served, KEY, timeout=20) as one, skep.connect(served, authkey=KEY) as two:
        put, get = one.queue('q', create=True), two.queue('q')
        for thing in (b'bytes', 'text', 42, None, {'a': [1, 2.5]}, b'x' * 100000, list(range(10000))):
            put.put(thing)
            assert get.get(timeout=20) == thing
        assert get.empty()
        with pytest.raises(Empty):
            get.get(timeout=0.05)
        with pytest.raises(FileExistsError):
            one.queue('q', create=True)
        with pytest.raises(FileNotFoundError):
            one.queue('none')


def test_arrays_from_afar(served):
    with skep.connect(served, KEY) as one, skep.connect(served, KEY) as two:
        put, get = one.queue('q', create=True), two.queue('q')
        for array in (numpy.arange(300000, dtype='f4').reshape(1000, 300), numpy.arange(24).reshape(2, 3, 4)[:, ::2]):
            put.put(array)
            back = get.get(timeout=20)
            assert back.dtype == array.dtype
            assert numpy.array_equal(back, array)


def test_a_get_waits_for_a_put(served):
    with skep.connect(served, KEY) as one, skep.connect(served, KEY) as two:
        put, get = one.queue('q', create=True), two.queue('q')
        found = []
        thread = threading.Thread(target=lambda: found.append(get.get(timeout=20)))
        thread.start()
        time.sleep(0.05)
        put.put('at last')
        thread.join(20)
        assert found == ['at last']


def test_wrong_keys_and_no_server(served):
    with pytest.raises(PermissionError):
        skep.connect(served, b'wrong', timeout=20)
    with pytest.raises(ValueError):
        skep.connect(served, b'')
    with pytest.raises(ConnectionRefusedError):
        skep.connect('tcp://127.0.0.1:1', KEY)
    with pytest.raises(ValueError):
        skep.connect('nowhere', KEY)


# --- all kinds by name ----------------------------------------------------------------------------------------------------------

KINDS = {
    'queue': {}, 'lock': {}, 'rlock': {}, 'semaphore': {'value': 2}, 'event': {}, 'barrier': {'parties': 2}, 'condition': {}, 'value': {'value': 3},
    'array': {'size_or_initializer': [1, 2]}, 'dict': {}, 'list': {}, 'namespace': {},
}


@pytest.mark.parametrize('kind', KINDS)
def test_what_is_made_by_name_is_found_by_name(two_ends, kind):
    one, two = two_ends
    with pytest.raises(FileNotFoundError):
        getattr(two, kind)('x')
    made = getattr(one, kind)('x', create=True, **KINDS[kind])
    assert ('x', {'array': 'value'}.get(kind, kind)) in one.names()
    found = getattr(two, kind)('x')
    assert type(found) is type(made)
    assert found.reference == made.reference
    with pytest.raises(FileExistsError):
        getattr(two, kind)('x', create=True, **KINDS[kind])
    for other in KINDS:
        if other != kind and {other, kind} != {'value', 'array'}:
            with pytest.raises(TypeError):
                getattr(two, other)('x')
    assert getattr(one, kind)(**KINDS[kind]).reference != made.reference  # a new one without a name
    one.forget('x')
    with pytest.raises(FileNotFoundError):
        getattr(two, kind)('x')


def test_locks(two_ends):
    one, two = two_ends
    for noun in ('lock', 'rlock'):
        here, there = getattr(one, noun)(noun, create=True), getattr(two, noun)(noun, on_owner_died='ignore')
        assert there.on_owner_died == 'ignore'
        with here:
            assert there.locked()
            result = []
            thread = threading.Thread(target=lambda: result.append((there.acquire(timeout=0.02), there.acquire(block=False))))
            thread.start()
            thread.join(20)
            assert result == [(False, False)]
        assert there.acquire(timeout=20)
        there.release()
        with pytest.raises(AssertionError if noun == 'rlock' else ValueError):
            here.release()


def test_semaphores(two_ends):
    one, two = two_ends
    here, there = one.semaphore('s', create=True, value=2), two.semaphore('s')
    assert here.acquire() and there.acquire() and not here.acquire(timeout=0.01)
    there.release(2)
    assert here.get_value() == 2
    bounded = one.semaphore('b', create=True, value=1, bounded=True)
    assert type(bounded) is synchronize.BoundedSemaphore
    with pytest.raises(ValueError):
        two.semaphore('b', bounded=True).release()


def test_conditions(two_ends):
    one, two = two_ends
    here, there = one.condition('c', create=True), two.condition('c')
    seen = []

    def wait():
        with here:
            seen.append('waits')
            seen.append(here.wait(20))

    thread = threading.Thread(target=wait)
    thread.start()
    while thread.is_alive():
        with there:
            if seen:
                there.notify()
        time.sleep(0.005)
    assert seen == ['waits', True]
    with pytest.raises(AssertionError):
        there.notify()
    with pytest.raises(AssertionError):
        there.wait(0)
    with pytest.raises(AssertionError):
        there.release()
    assert there.acquire(timeout=20)
    assert not there.wait_for(lambda: False, 0.01)
    there.release()
    repr(there)
    lock = one.lock('of another', create=True)
    bound = one.condition('bound', create=True, lock=lock)
    with bound:
        assert lock.locked()
        bound.notify_all()


def test_values_and_arrays(two_ends):
    one, two = two_ends
    for typecode, first, more in (('q', -3, 5), ('B', 3, 5), ('d', 0.5, 0.25), ('f', 0.5, 0.25), ('Q', 1 << 63, 1)):
        here, there = one.value(typecode, create=True, typecode=typecode, value=first), two.value(typecode)
        assert there.value == first
        assert there.add(more) == first
        assert here.value == first + more
        assert there.compare_exchange(first + more, first) and not there.compare_exchange(first + more, first)
        here.value = more
        assert there.exchange(first) == more
    with pytest.raises(TypeError):
        here.value = 'text'
    here, there = one.value('n', create=True), two.value('n')
    with here, here.get_lock():
        result = []
        thread = threading.Thread(target=lambda: result.append(there.acquire(timeout=0.01)))
        thread.start()
        thread.join(20)
        assert result == [False]
    with pytest.raises(AssertionError):
        there.release()
    assert not there.wait_for_change(timeout=0.01)
    assert there.wait_for_change(seen=1)
    timer = threading.Timer(0.05, here.add, [4])
    timer.start()
    assert there.wait_for_change(0, 20) and there.value == 4
    timer.join()

    here, there = one.array('a', create=True, typecode='i', size_or_initializer=[1, 2, 3]), two.array('a')
    there[0] = 10
    there[-2:] = [20, 30]
    assert len(there) == 3 and list(there) == here[:] == [10, 20, 30]
    assert there.add(1, 5) == 20 and there.exchange(-1, 7) == 30 and there.compare_exchange(2, 7, 8)
    assert here[1:] == [25, 8]
    for index in (3, -4):
        with pytest.raises(IndexError):
            there[index]
    with pytest.raises(ValueError):
        there[:] = [1]
    with pytest.raises(TypeError):
        one.value(typecode='c')
    with pytest.raises(ValueError):
        one.array(size_or_initializer=0)
    if two.is_remote:
        with pytest.raises(BufferError):
            memoryview(there)


def test_containers(two_ends):
    one, two = two_ends
    here, there = one.dict('d', create=True), two.dict('d')
    things = [None, True, 7, 1 << 70, 2.5, 'text', b'bytes', (1, 'a'), {'a': [1]}, Point(1, 2), 'x' * 100000]
    for i, thing in enumerate(things):
        here[i] = thing
        here['key', i] = i
    here[Point(3, 4)] = 'anything'
    assert [there[i] for i in range(len(things))] == things
    assert there[Point(3, 4)] == 'anything' and there['key', 2] == 2
    assert there.get('no') is None and 'no' not in there and 5 in there
    with pytest.raises(KeyError):
        there['no']
    assert there.pop(0) is None and len(here) == 2 * len(things)
    assert there.setdefault('n', 5) == 5 and there.add('n', 2) == 7 and there.compare_and_set('n', 7, 8)
    assert here.copy() == there.copy() == dict(there.items())
    there.update(n=9)
    assert here.popitem() == ('n', 9)
    timer = threading.Timer(0.05, here.__setitem__, ['late', 1])
    timer.start()
    assert there.wait_for('late', timeout=20) == 1
    timer.join()
    there.clear()
    assert not here

    here, there = one.list('l', create=True), two.list('l')
    here.extend(things)
    assert there[:] == things and there[-2] == Point(1, 2)
    there.append([1, 2])
    assert here.pop() == [1, 2]
    del there[1:]
    there += [3, 1, 2]
    assert here[1:] == [3, 1, 2]
    del here[0]
    there.sort()
    assert list(here) == [1, 2, 3] and here.index(3) == 2

    here, there = one.namespace('n', create=True), two.namespace('n')
    here.point, here.number = Point(7, 8), 1
    assert there.point == Point(7, 8) and there.number == 1
    del there.number
    assert not hasattr(here, 'number')


def test_arrays_in_containers_come_as_copies(pair):
    one, two = pair
    here, there = one.dict('d', create=True), two.dict('d')
    for array in (numpy.arange(1000.0), skep.zeros(1000), skep.ones((3, 4), hive=one)):
        here['a'] = array
        back = there['a']
        assert back.dtype == array.dtype and numpy.array_equal(back, array)


# --- nobody holds up others --------------------------------------------------------------------------------------------------------

def test_who_waits_does_not_hold_up_others(pair):
    one, two = pair
    lock, event, queue = one.lock('lock', create=True), one.event('event', create=True), one.queue('queue', create=True)
    barrier, dict_ = one.barrier('barrier', create=True, parties=3), one.dict('dict', create=True)
    done = []

    def waits(what, *arguments):
        thread = threading.Thread(target=lambda: done.append(what(*arguments)))
        thread.start()
        return thread

    with lock:
        threads = [waits(hive.lock('lock').acquire, True, 0.5) for hive in pair]
        threads += [waits(hive.event('event').wait, 20) for hive in pair] + [waits(hive.barrier('barrier').wait, 20) for hive in pair]
        threads += [waits(hive.queue('queue').get) for hive in pair]
        began, count = time.monotonic(), 0
        while time.monotonic() - began < 0.7:  # well beyond a slice, in which waiting threads ask for the GIL
            for hive in (dict_, two.dict('dict')):
                hive['n'] = count = count + 1
                assert hive['n'] == count
        assert done == [False, False]
        event.set()
        queue.put('a')
        queue.put('a')
        assert barrier.wait(20) == 2
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert sorted(map(str, done)) == sorted(map(str, [False, False, True, True, 0, 1, 'a', 'a']))


def test_two_clients_count(pair):
    lock, value, plain = pair[0].lock('lock', create=True), pair[0].value('value', create=True), pair[0].dict('plain', create=True)
    plain['n'] = 0

    def work(hive):
        lock, value, plain = hive.lock('lock'), hive.value('value'), hive.dict('plain')
        for _ in range(50):
            value.add(1)
            with lock:
                plain['n'] += 1

    threads = [threading.Thread(target=work, args=(hive,)) for hive in pair * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(25)
    assert value.value == 200 and plain['n'] == 200 and not lock.locked()


# --- other processes ------------------------------------------------------------------------------------------------------------------

def test_two_python_processes_exchange_any_object(served, tmp_path):
    with skep.connect(served, KEY) as hive:
        dict_, list_, done = hive.dict('dict', create=True), hive.list('list', create=True), hive.event('done', create=True)
        dict_[Point(1, 2)] = Point(3, 4)
        list_.append({Point(1, 1): 'x'})
        with client('answer', served, tmp_path) as other:
            assert done.wait(20)
            assert other.wait(20) == 0
        assert dict_['seen'] == [Point(3, 4), {Point(1, 1): 'x'}]
        assert list_[-1] == Point(5, 6)


def test_a_killed_client_gives_back_what_it_held(served, tmp_path):
    with skep.connect(served, KEY) as hive:
        held = [hive.lock('lock', create=True), hive.rlock('rlock', create=True), hive.condition('condition', create=True),
                hive.value('value', create=True)]
        semaphore = hive.semaphore('semaphore', create=True, value=1, recover=True)
        with client('hold', served, tmp_path) as other:
            assert other.stdout.readline() == 'held\n'
            assert not held[0].acquire(timeout=0.01) and not semaphore.acquire(timeout=0.01)
            other.kill()
        for thing in held:
            with pytest.warns(skep.OwnerDiedWarning):
                assert thing.acquire(timeout=20)
            thing.release()
        with pytest.warns(skep.OwnerDiedWarning):
            assert semaphore.acquire(timeout=20)
        assert held[0].owner_died
        held[0].owner_died = False
        assert not held[0].owner_died


def test_what_c_made_in_a_named_hive_is_read_from_afar(name, tmp_path):
    with skep.Hive.create(name, capacity=32 << 20) as local, serve(tmp_path, 'tcp://127.0.0.1:0', name) as server:
        dict_ = local.dict('d', create=True)
        dict_.update({'text': 'a', 5: 2.5, b'b': None})  # plain items: as C makes them
        with skep.connect(server.address, KEY) as hive:
            assert hive.dict('d').copy() == {'text': 'a', 5: 2.5, b'b': None}
            hive.dict('d')['back'] = 1
            assert dict_['back'] == 1
        server.terminate()


# --- what does not work ---------------------------------------------------------------------------------------------------------------

def test_a_server_that_goes_away(tmp_path):
    with serve(tmp_path, f'unix:{tmp_path}/socket') as server:
        hive = skep.connect(server.address, KEY)
        lock, dict_, queue, event = hive.lock('l', create=True), hive.dict(), hive.queue(), hive.event()
        failed = []

        def wait():
            try:
                queue.get()
            except OSError as error:
                failed.append(error)

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        server.kill()
        server.wait()
        thread.join(20)
        assert isinstance(failed[0], ConnectionResetError)  # it may have happened
        for call in (lock.acquire, event.set, lambda: dict_['a'], lambda: hive.dict('d'), lambda: queue.put(1), lambda: hive.value(create=True)):
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno in (errno.ENOTCONN, errno.ECONNRESET)
        with pytest.raises(OSError):
            hive.reconnect(timeout=1)
        (tmp_path / 'socket').unlink(missing_ok=True)
        with serve(tmp_path, f'unix:{tmp_path}/socket') as again:
            hive.reconnect(timeout=20)
            assert hive.lock('l', create=True).acquire()
            with pytest.raises(skep.GoneError):
                dict_['a'] = 1
            again.terminate()
        del lock, dict_, queue, event
        gc.collect()


def test_what_has_no_remote_form_says_so(pair):
    hive = pair[0]
    for call in (lambda: synchronize.RWLock(hive=hive), lambda: synchronize.Once(hive=hive), lambda: hive.barrier(parties=1, action=print).wait(20),
                 hive.queue().fileno):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.ENOTSUP and 'another machine' in str(caught.value)
    for thing in (hive.lock(), hive.dict(), hive.queue(), hive.value(), hive.condition()):
        with pytest.raises(TypeError, match='another machine'):
            pickle.dumps(thing)
    with pytest.raises(ValueError):
        skep.default_hive().reconnect()
