# SPDX-License-Identifier: Apache-2.0
"""Pipe, Connection, wait, Listener and Client.
ctest: timeout=240
"""
import gc
import glob
import mmap
import multiprocessing
import multiprocessing.connection
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import pytest

import connection_children as children
import skep
from skep.connection import (AuthenticationError, BufferTooShort, Client, Connection, Listener, Pipe, answer_challenge, deliver_challenge, wait)

numpy = pytest.importorskip('numpy')


@pytest.fixture
def pipe():
    first, second = Pipe()
    yield first, second
    first.close()
    second.close()


# --- messages ---------------------------------------------------------------------------------------------------------

def test_every_public_name_of_the_standard_module_is_there():
    modules = {name for name, value in vars(multiprocessing.connection).items() if isinstance(value, types.ModuleType)}
    names = {name for name in vars(multiprocessing.connection) if not name.startswith('_')}
    assert names - modules <= set(skep.connection.__all__)
    assert all(hasattr(skep.connection, name) for name in skep.connection.__all__)


@pytest.mark.parametrize('obj', [
    None, 1, 'text', b'', b'bytes', bytes(1 << 20), b'.' * 70000, bytearray(b'xyz'), [1, [2.5, 'x']], {'a': (1, 2)}, range(3), float, 1 << 5000,
    numpy.arange(10).reshape(2, 5), numpy.zeros(0), numpy.array('2020-01-01', 'datetime64[s]'),
], ids=lambda obj: type(obj).__name__)
def test_objects_come_as_they_went(pipe, obj):
    first, second = pipe
    first.send(obj)
    got = second.recv()
    assert type(got) is type(obj)
    assert numpy.array_equal(got, obj) if isinstance(obj, numpy.ndarray) else got == obj


def test_an_array_born_here_goes_by_reference(pipe):
    first, second = pipe
    array = skep.zeros((100, 10), 'int32')
    first.send(array)
    got = second.recv()
    got[99, 9] = 7
    assert array[99, 9] == 7


@pytest.mark.parametrize('obj', [b'some bytes', ['a', 1], numpy.arange(30000.0), {'array': numpy.arange(100000)}], ids=['bytes', 'list', 'array', 'buffers'])
def test_a_pickle_may_travel_as_bytes(pipe, obj):
    first, second = pipe
    first.send(obj)
    message = second.recv_bytes()
    second.send_bytes(message)
    assert repr(first.recv()) == repr(obj)
    first.send_bytes(pickle.dumps(obj))
    assert repr(second.recv()) == repr(obj)


def test_bytes_keep_their_boundaries(pipe):
    first, second = pipe
    for message in b'', b'one', bytearray(b'two'), memoryview(b'three'), bytes(1 << 20), b'':
        first.send_bytes(message)
    assert [len(second.recv_bytes()) for _ in range(6)] == [0, 3, 3, 5, 1 << 20, 0]


def test_parts_of_a_buffer(pipe):
    first, second = pipe
    data = b'abcdefghij'
    for arguments, expected in [((), data), ((7,), b'hij'), ((7, 2), b'hi'), ((10,), b''), ((0, 0), b'')]:
        first.send_bytes(data, *arguments)
        assert second.recv_bytes() == expected
    for arguments, text in [((-1,), 'offset is negative'), ((11,), 'buffer length < offset'), ((4, -1), 'size is negative'),
                            ((8, 3), 'buffer length < offset \\+ size')]:
        with pytest.raises(ValueError, match=text):
            first.send_bytes(data, *arguments)
    assert not second.poll()


def test_into_a_buffer(pipe):
    first, second = pipe
    buffer = bytearray(10)
    first.send_bytes(b'abc')
    assert second.recv_bytes_into(buffer, 2) == 3 and buffer == b'\0\0abc' + bytes(5)
    words = numpy.zeros(4, 'int32')
    first.send_bytes(numpy.arange(4, dtype='int32'))
    assert second.recv_bytes_into(words) == 16 and words.tolist() == [0, 1, 2, 3]
    first.send_bytes(b'too long for it')
    with pytest.raises(BufferTooShort) as caught:
        second.recv_bytes_into(buffer)
    assert caught.value.args == (b'too long for it',)
    for offset in -1, 11:
        with pytest.raises(ValueError):
            second.recv_bytes_into(buffer, offset)
    first.send_bytes(b'')
    assert second.recv_bytes_into(buffer, 10) == 0


def test_a_message_beyond_maxlength_spoils_the_connection(pipe):
    first, second = pipe
    first.send_bytes(b'12345')
    assert second.recv_bytes(5) == b'12345'
    first.send_bytes(b'123456')
    with pytest.raises(OSError, match='bad message length'):
        second.recv_bytes(5)
    assert not second.readable and second.writable
    with pytest.raises(OSError):
        second.recv()
    with pytest.raises(ValueError):
        first.recv_bytes(-1)
    reader, writer = Pipe(duplex=False)
    writer.send_bytes(b'123456')
    with pytest.raises(OSError):
        reader.recv_bytes(5)
    assert reader.closed


def test_what_cannot_be_pickled_is_said_at_once(pipe):
    first, second = pipe
    with pytest.raises((pickle.PicklingError, AttributeError)):
        first.send(lambda: None)
    assert not second.poll()
    first.send_bytes(b'no pickle')
    with pytest.raises(pickle.UnpicklingError):
        second.recv()
    first.send(1)
    assert second.recv() == 1


def test_lengths_are_not_of_32_bits(small_hive):
    """There is no memory here to send so much, but what is asked for must be the whole."""
    first, second = Connection.pair(small_hive)
    huge = mmap.mmap(-1, (1 << 32) + 12345, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ)
    with pytest.raises(MemoryError, match=f'{(1 << 32) + 12345} bytes'):
        first.send_bytes(huge)
    first.send_bytes(huge, 1 << 32, 12)
    assert second.recv_bytes() == bytes(12)
    huge.close()
    first.close()
    second.close()


# --- state ------------------------------------------------------------------------------------------------------------

def test_one_way():
    reader, writer = Pipe(duplex=False)
    assert (reader.readable, reader.writable, writer.readable, writer.writable) == (True, False, False, True)
    writer.send(1)
    assert reader.recv() == 1
    for call in reader.send, reader.send_bytes:
        with pytest.raises(OSError, match='read-only'):
            call(b'')
    for call in writer.recv, writer.recv_bytes, writer.poll:
        with pytest.raises(OSError, match='write-only'):
            call()
    reader.close()
    with pytest.raises(BrokenPipeError):
        writer.send(1)


def test_a_closed_connection_says_so(pipe):
    first, second = pipe
    with first as same:
        assert same is first and not first.closed and type(first.fileno()) is int
    assert first.closed
    first.close()
    for call in first.recv, first.recv_bytes, first.poll, first.fileno, lambda: first.send(1), lambda: first.send_bytes(b''):
        with pytest.raises(OSError, match='handle is closed'):
            call()
    with pytest.raises(OSError):
        pickle.dumps(first)


def test_end_of_file_and_broken_pipe(pipe):
    first, second = pipe
    second.send('last')
    second.close()
    assert first.poll() and first.recv() == 'last'
    assert first.poll(None)
    for call in first.recv, first.recv_bytes, lambda: first.recv_bytes_into(bytearray(1)):
        with pytest.raises(EOFError):
            call()
    for call in first.send, first.send_bytes:
        with pytest.raises(BrokenPipeError):
            call(b'x')


def test_the_last_reference_closes(pipe):
    first, second = Pipe()
    del second
    gc.collect()
    with pytest.raises(EOFError):
        first.recv()


def test_close_while_another_thread_receives(pipe):
    first, second = pipe
    caught = []

    def receive():
        try:
            first.recv()
        except OSError as error:
            caught.append(str(error))

    thread = threading.Thread(target=receive)
    thread.start()
    time.sleep(0.1)
    first.close()
    thread.join(10)
    assert caught == ['handle is closed']
    with pytest.raises(BrokenPipeError):
        second.send(1)


def test_poll_waits_as_long_as_told(pipe):
    first, second = pipe
    assert first.poll() is False and first.poll(-1) is False
    begin = time.monotonic()
    assert first.poll(0.2) is False
    assert time.monotonic() - begin >= 0.2
    threading.Timer(0.1, second.send, [1]).start()
    assert first.poll(None) is True and first.poll() is True
    assert first.recv() == 1


def test_an_interrupt_ends_a_wait(pipe):
    first, second = pipe

    def raise_it(signum, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGUSR1, raise_it)
    try:
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        with pytest.raises(KeyboardInterrupt):
            first.recv()
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        with pytest.raises(KeyboardInterrupt):
            wait([first])
    finally:
        signal.signal(signal.SIGUSR1, previous)
    second.send('still there')
    assert first.recv() == 'still there'


# --- processes --------------------------------------------------------------------------------------------------------

def test_a_conversation(context, run):
    ours, theirs = context.Pipe()
    run(children.echo_until_none, theirs)
    theirs.close()
    for obj in 1, b'x' * 100, 'text', numpy.arange(5).tolist(), {'big': bytes(1 << 20)}:
        ours.send(obj)
        assert ours.recv() == obj
    ours.send(None)
    with pytest.raises(EOFError):
        ours.recv()


def test_a_killed_peer_is_end_of_file(context):
    ours, theirs = context.Pipe()
    process = context.Process(target=children.send_and_kill_self, args=(theirs, 'last words'))
    process.start()
    theirs.close()
    assert ours.recv() == 'last words'
    with pytest.raises(EOFError):
        ours.recv()
    with pytest.raises(BrokenPipeError):
        ours.send(1)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def test_a_killed_peer_ends_a_wait(context):
    ours, theirs = context.Pipe()
    process = context.Process(target=children.sleep_long, args=(theirs,))
    process.start()
    theirs.close()
    assert ours.recv() == 'ready'
    threading.Timer(0.2, process.kill).start()
    assert wait([ours], 20) == [ours]
    with pytest.raises(EOFError):
        ours.recv()
    process.join()


@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_a_child_that_dies_before_it_takes_its_end(method):
    context = skep.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=children.nothing, args=(children.Deadly(), theirs))
    process.start()
    theirs.close()
    with pytest.raises(EOFError):
        ours.recv()
    process.join()
    assert process.exitcode


def test_a_forked_child_has_both_ends_until_it_closes_them():
    context = skep.get_context('fork')
    first, second = context.Pipe()
    go, come = context.Pipe()
    process = context.Process(target=children.hold_until_told, args=(come, first, second))
    process.start()
    second.close()
    assert not first.poll(0.2)
    go.send('close')
    with pytest.raises(EOFError):
        first.recv()
    go.send('end')
    process.join()


def test_connections_go_through_connections(context, run):
    ours, theirs = context.Pipe()
    first, second = context.Pipe()
    run(children.talk_through_what_comes, theirs)
    ours.send(second)
    second.close()  # the message holds it
    assert first.recv() == 'from the child'
    first.send('from the parent')
    assert first.recv() == 'FROM THE PARENT'
    with pytest.raises(EOFError):
        first.recv()


def test_sockets_go_through_connections(context, run):
    ours, theirs = context.Pipe()
    run(children.talk_through_socket, theirs)
    near, far = socket.socketpair()
    with near, far:
        ours.send(far)
        near.settimeout(20)
        assert near.recv(100) == b'from the child'


def test_a_message_holds_what_it_carries(pipe):
    first, second = pipe
    a, b = Pipe()
    first.send({'end': b})
    b.close()
    a.send(1)
    got = second.recv()['end']
    assert got.recv() == 1
    got.close()
    with pytest.raises(EOFError):
        a.recv()


def test_a_message_that_nobody_receives_lets_go():
    first, second = Pipe()
    a, b = Pipe()
    first.send(b)
    b.close()
    assert not a.poll()
    first.close()
    second.close()
    with pytest.raises(EOFError):
        a.recv()


def test_a_queue_holds_the_queue_in_it():
    outer, inner = skep.Queue(), skep.Queue()
    inner.put('inside')
    outer.put(inner)
    inner.close()
    del inner
    gc.collect()
    assert outer.get().get() == 'inside'


def test_a_pickle_outside_skep_can_be_redeemed_once():
    a, b = Pipe()
    dumped = pickle.dumps(b)
    b.close()
    got = pickle.loads(dumped)
    a.send('x')
    assert got.recv() == 'x'
    got.close()
    with pytest.raises(EOFError):
        a.recv()
    with pytest.raises(skep.GoneError):
        pickle.loads(dumped)


def test_through_the_pool_of_the_standard_library():
    context = skep.get_context('spawn')
    ours, theirs = context.Pipe()
    with context.Pool(1) as pool:
        assert pool.apply(children.send_back, (theirs, 'hello')) == 'done'
        assert ours.recv() == 'hello'


def test_many_pipes_need_no_descriptor():
    skep.default_hive()  # has some
    gc.collect()
    before = len(os.listdir('/proc/self/fd'))
    pipes = [Pipe() for _ in range(2000)]
    for number, (first, second) in enumerate(pipes):
        first.send(number)
    assert [second.recv() for _, second in pipes] == list(range(2000))
    assert len(os.listdir('/proc/self/fd')) == before
    for first, second in pipes:
        first.close()
        second.close()


def test_few_descriptors():
    code = '''
import resource, skep
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
pipes = [skep.Pipe() for _ in range(500)]
for first, second in pipes:
    first.send(1)
    assert second.recv() == 1
numbers = []
try:
    for first, second in pipes:
        numbers.append(first.fileno())
except OSError as error:
    print(error.errno, len(numbers) > 20)
first, second = pipes[0]
first.send(2)
print(second.recv())
'''
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ['24', 'True', '2'], done.stderr


# --- wait -------------------------------------------------------------------------------------------------------------

def test_wait_on_a_mix(context):
    first, second = context.Pipe()
    queue = context.Queue()
    near, far = socket.socketpair()
    ending, kept = os.pipe()
    process = context.Process(target=children.nothing)
    process.start()
    with near, far:
        mix = [first, queue, near, ending]
        process.join()
        assert wait(mix + [process.sentinel], 20) == [process.sentinel]
        assert wait([queue._reader], 0) == []
        assert wait(mix, 0) == [] and wait(mix, -1) == [] and wait(mix, 0.1) == []
        for ready, make, take in [(first, lambda: second.send(1), first.recv), (queue, lambda: queue.put(1), queue.get),
                                  (near, lambda: far.send(b'x'), lambda: near.recv(1)), (ending, lambda: os.write(kept, b'x'), lambda: os.read(ending, 1))]:
            threading.Timer(0.05, make).start()
            assert wait(mix) == [ready]
            take()
            assert wait(mix, 0) == []
        second.send(1)
        queue.put(1)
        os.write(kept, b'x')
        assert set(map(id, wait(mix, 20))) <= set(map(id, mix))
        deadline = time.monotonic() + 20
        while len(wait(mix, 1)) < 3:
            assert time.monotonic() < deadline
    os.close(ending)
    os.close(kept)
    process.close()


def test_what_is_there_is_ready_at_once():
    pipes = [Pipe() for _ in range(5)]
    for _ in range(20):
        for count in range(1, 6):
            pipes[count - 1][0].send(count)
            assert wait([second for _, second in pipes], 0 if count % 2 else 20) == [second for _, second in pipes[:count]]
        for _, second in pipes:
            second.recv()
        assert wait([second for _, second in pipes], 0.001) == []
    for first, second in pipes:
        first.close()
        second.close()


def test_wait_for_nothing():
    assert wait([], 0.1) == []


@pytest.mark.parametrize('count', [3, 128, 200], ids=['three', 'as many as go together', 'more than go together'])
def test_wait_on_pipes_alone(count):
    pipes = [Pipe() for _ in range(count)]
    seconds = [second for _, second in pipes]
    before = len(os.listdir('/proc/self/fd'))
    assert wait(seconds, 0) == [] and wait(seconds, 0.2) == []
    for number in 0, count // 2, count - 1:
        threading.Timer(0.05, pipes[number][0].send, [number]).start()
        assert wait(seconds, 20) == [seconds[number]]
        assert seconds[number].recv() == number
    threading.Timer(0.05, pipes[1][0].close).start()
    assert wait(seconds) == [seconds[1]]
    assert count > 128 or len(os.listdir('/proc/self/fd')) == before
    other = skep.Hive.create(capacity=16 << 20)
    first, second = Connection.pair(other)
    seconds[1] = second
    threading.Timer(0.05, first.send, [1]).start()
    assert wait(seconds, 20) == [second]
    seconds[0].close()
    with pytest.raises(OSError, match='handle is closed'):
        wait(seconds)
    for first, second in pipes:
        first.close()
        second.close()


@pytest.mark.parametrize('mixed', [False, True])
def test_a_wait_notices_a_child_that_died_before_it_took_its_end(mixed):
    context = skep.get_context('spawn')
    ours, theirs = context.Pipe()
    process = context.Process(target=children.nothing, args=(children.Deadly(), theirs))
    process.start()
    theirs.close()
    near, far = socket.socketpair()
    with near, far:
        assert wait([ours, near] if mixed else [ours], 20) == [ours]
    process.join()


def test_the_end_of_file_is_ready(pipe):
    first, second = pipe
    threading.Timer(0.1, second.close).start()
    assert wait([first], 20) == [first]


@pytest.mark.parametrize('kind', ['select', 'poll', 'epoll'])
def test_the_descriptor_is_for_everybody(pipe, kind):
    first, second = pipe

    def is_readable(seconds):
        if kind == 'select':
            return bool(select.select([first], [], [], seconds)[0])
        poller = getattr(select, kind)()
        poller.register(first, select.POLLIN)
        return bool(poller.poll(seconds if kind == 'epoll' else seconds * 1000))

    assert not is_readable(0)
    second.send(1)
    assert is_readable(20)
    assert first.recv() == 1
    first.fileno()
    assert not is_readable(0.1)
    second.close()
    assert is_readable(20)


def test_many_writers_one_waiter(context):
    readers, processes = [], []
    for number in range(4):
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=children.send_numbers, args=(writer, number, 20))
        process.start()
        writer.close()
        readers.append(reader)
        processes.append(process)
    got = []
    while readers:
        for reader in wait(readers, 20):
            try:
                got.append(reader.recv())
            except EOFError:
                readers.remove(reader)
                reader.close()
    assert sorted(got) == [(number, i) for number in range(4) for i in range(20)]
    for number in range(4):
        assert [i for who, i in got if who == number] == list(range(20))
    for process in processes:
        process.join()


# --- Listener and Client ----------------------------------------------------------------------------------------------

def addresses(tmp_path):
    yield None, 'AF_INET'
    yield None, 'AF_UNIX'
    yield str(tmp_path / 'socket'), None
    yield f'\0skep-{os.getpid()}-{time.monotonic_ns()}', None
    if socket.has_ipv6:
        yield ('::1', 0), None
        yield ('::1', 0, 0, 0), 'AF_INET6'


def serve(listener, results):
    try:
        with listener.accept() as connection:
            connection.send(connection.recv() * 2)
            results.append('served')
    except (AuthenticationError, EOFError, OSError) as error:
        results.append(type(error).__name__)


@pytest.mark.parametrize('authkey', [None, b'', b'secret'])
def test_listener_and_client(tmp_path, authkey):
    for address, family in addresses(tmp_path):
        with Listener(address, family, authkey=authkey) as listener:
            results = []
            thread = threading.Thread(target=serve, args=(listener, results))
            thread.start()
            with Client(listener.address, authkey=authkey) as connection:
                connection.send([1])
                assert connection.recv() == [1, 1]
            thread.join(20)
            assert results == ['served'] and (family == 'AF_UNIX' or address or listener.last_accepted)
    with pytest.raises(OSError):
        listener.accept()


def test_wrong_keys_are_refused():
    with pytest.raises(TypeError):
        Listener(authkey='text')
    with pytest.raises(TypeError):
        Client(('localhost', 1), authkey='text')
    with Listener(authkey=b'right') as listener:
        results = []
        thread = threading.Thread(target=serve, args=(listener, results))
        thread.start()
        with pytest.raises(AuthenticationError):
            Client(listener.address, authkey=b'wrong')
        thread.join(20)
        assert results == ['AuthenticationError']


class Script:
    """A peer that says what it is told to."""

    def __init__(self, *messages):
        self.messages = list(messages)
        self.sent = []

    def recv_bytes(self, maxlength=None):
        return self.messages.pop(0)

    def send_bytes(self, message):
        self.sent.append(message)


@pytest.mark.parametrize('reply', [b'', b'bogus', b'0' * 16, b'{sha256}' + bytes(32), b'{md4}' + bytes(16), b'{sha256}', bytes(256)])
def test_wrong_replies_are_refused(reply):
    peer = Script(reply)
    with pytest.raises(AuthenticationError):
        deliver_challenge(peer, b'key')
    assert peer.sent[0].startswith(b'#CHALLENGE#{sha256}') and len(peer.sent[0]) == 11 + 8 + 40 and peer.sent[1:] == [b'#FAILURE#']


@pytest.mark.parametrize('message', [b'', b'bogus', b'#CHALLENGE#', b'#CHALLENGE#' + bytes(19), b'#CHALLENGE#' + bytes(40),
                                     b'#CHALLENGE#{sha256}' + bytes(19), b'#CHALLENGE#{crc32}' + bytes(40), b'#WELCOME#' + bytes(20)])
def test_wrong_challenges_are_refused(message):
    peer = Script(message, b'#WELCOME#')
    with pytest.raises(AuthenticationError):
        answer_challenge(peer, b'key')
    assert not peer.sent


@pytest.mark.parametrize('digest', ['md5', 'sha256', 'sha384', 'sha3_256', 'sha3_384'])
def test_every_digest_on_both_sides(digest):
    challenge = b'#CHALLENGE#{%s}' % digest.encode() + bytes(range(40))
    answering = Script(challenge, b'#WELCOME#')
    answer_challenge(answering, b'key')
    delivering = Script()

    def reply(maxlength):
        peer = Script(delivering.sent[0], b'#WELCOME#')
        answer_challenge(peer, b'key')
        return peer.sent[0]

    delivering.recv_bytes = reply
    deliver_challenge(delivering, b'key', digest)
    assert delivering.sent[-1] == b'#WELCOME#'
    for call in (lambda: deliver_challenge(Script(), 'key'), lambda: answer_challenge(Script(), 'key'),
                 lambda: deliver_challenge(Script(), b'key', 'crc32')):
        with pytest.raises(ValueError):
            call()


def pythons():
    """Every Python found that has a multiprocessing of its own."""
    found = {os.path.realpath(sys.executable), '/usr/bin/python3'}
    found |= {os.path.realpath(path) for path in glob.glob(os.path.expanduser('~/.pyenv/versions/3.*/bin/python3'))}
    return sorted(path for path in found if os.access(path, os.X_OK))


CLIENT = '''
import sys
from multiprocessing.connection import Client
with Client(sys.argv[1], authkey=sys.argv[2].encode()) as connection:
    connection.send(['old', 1])
    print(connection.recv())
'''
SERVER = '''
import sys
from multiprocessing.connection import Listener
with Listener(sys.argv[1], authkey=sys.argv[2].encode()) as listener:
    print('ready', flush=True)
    with listener.accept() as connection:
        connection.send(connection.recv() * 2)
'''


@pytest.mark.parametrize('python', pythons())
def test_every_standard_library_understands_us(python, tmp_path):
    environment = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'PYTHONHOME')}
    address = str(tmp_path / 'socket')
    with Listener(address, authkey=b'secret') as listener:
        results = []
        thread = threading.Thread(target=serve, args=(listener, results))
        thread.start()
        done = subprocess.run([python, '-c', CLIENT, address, 'secret'], capture_output=True, text=True, timeout=60, env=environment)
        thread.join(20)
        assert results == ['served'] and done.stdout.strip() == "['old', 1, 'old', 1]", done.stderr
        thread = threading.Thread(target=serve, args=(listener, results))
        thread.start()
        done = subprocess.run([python, '-c', CLIENT, address, 'guess'], capture_output=True, text=True, timeout=60, env=environment)
        thread.join(20)
        assert results[1:] == ['AuthenticationError'] and 'AuthenticationError' in done.stderr
    address = str(tmp_path / 'other')
    with subprocess.Popen([python, '-c', SERVER, address, 'secret'], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout.readline() == 'ready\n'
        with Client(address, authkey=b'secret') as connection:
            connection.send([3])
            assert connection.recv() == [3, 3]
        assert process.wait(20) == 0


def test_a_connection_over_a_descriptor_is_the_standard_librarys():
    near, far = socket.socketpair()
    with Connection(near.detach()) as first, Connection(far.detach()) as second:
        first.send('x')
        assert second.recv() == 'x'
        assert wait([second], 0) == []
    with pytest.raises(ValueError):
        Connection(-1)
    reader, writer = Pipe()
    a, b = socket.socketpair()
    with multiprocessing.connection.Connection(a.detach()) as sent, b:
        writer.send(sent)
        with reader.recv() as received:
            received.send_bytes(b'through')
        assert b'through' in b.recv(100)


def test_descriptors_go_by_hand(pipe):
    first, second = pipe
    reading, writing = os.pipe()
    skep.reduction.send_handle(first, writing, os.getpid())
    copy = skep.reduction.recv_handle(second)
    os.write(copy, b'x')
    assert os.read(reading, 1) == b'x'
    for fd in reading, writing, copy:
        os.close(fd)
    first.send('no descriptor')
    with pytest.raises(RuntimeError):
        skep.reduction.recv_handle(second)
