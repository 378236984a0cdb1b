# SPDX-License-Identifier: Apache-2.0
"""Messages of more than 2 GiB really go through, from one process to another, whole: SKEP_LARGE=1, and 8 GiB of memory.

Asked for, as memory that nobody has touched costs a virtual machine seconds a gigabyte.  `make check-all` asks.
ctest: timeout=900 serial
"""
import faulthandler
import os
import subprocess
import sys

import pytest

import skep
from skep.connection import Listener

BYTES = (1 << 31) + 4097
MARKS = {0: b'first', (1 << 31) - 3: b'on the limit', BYTES - 4: b'last'}


def available_bytes():
    with open('/proc/meminfo') as lines:
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith('MemAvailable'))


pytestmark = [pytest.mark.skipif(not os.environ.get('SKEP_LARGE'), reason='SKEP_LARGE=1 asks for gigabytes'),
              pytest.mark.skipif(available_bytes() < 8 << 30, reason='less than 8 GiB of memory are available'),
              pytest.mark.skipif('LD_PRELOAD' in os.environ, reason='a sanitizer takes a multiple of the memory')]


@pytest.fixture(autouse=True)
def time_limit():
    """In the place of that for all tests."""
    faulthandler.dump_traceback_later(600, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def message():
    parts, at = [], 0
    for mark, text in MARKS.items():
        parts += [bytes(mark - at), text]
        at = mark + len(text)
    return b''.join(parts)


def is_whole(found):
    """Marks where they belong, and zeros between them as far as they are looked at."""
    return len(found) == BYTES and all(bytes(found[mark:mark + len(text)]) == text for mark, text in MARKS.items()) and not any(found[1000:5000])


def put_bytes(queue):
    queue.put(message())


def send_bytes(end):
    end.send_bytes(message())


def send_in_object(end):
    end.send({'one': 1, 'much': message()})


def put_array(queue):
    numpy = pytest.importorskip('numpy')
    queue.put(numpy.frombuffer(message(), 'uint8'))


@pytest.fixture
def sent_by():
    """What a child sends, while it is alive or thereafter."""
    context, children = skep.get_context('spawn'), []

    def start(target, there):
        children.append(context.Process(target=target, args=(there,)))
        children[-1].start()

    yield start
    for child in children:
        child.join()
        assert child.exitcode == 0
    skep.default_hive().reap()  # what it held is free for the next


def test_bytes_through_a_queue(sent_by):
    queue = skep.Queue()
    sent_by(put_bytes, queue)
    assert is_whole(queue.get(timeout=500))


def test_an_array_through_a_queue(sent_by):
    pytest.importorskip('numpy')
    queue = skep.Queue()
    sent_by(put_array, queue)
    assert is_whole(memoryview(queue.get(timeout=500)))


def test_bytes_through_a_pipe(sent_by):
    receiver, sender = skep.Pipe(duplex=False)
    sent_by(send_bytes, sender)
    assert is_whole(receiver.recv_bytes())


def test_bytes_inside_an_object_through_a_pipe(sent_by):
    receiver, sender = skep.Pipe(duplex=False)
    sent_by(send_in_object, sender)
    found = receiver.recv()
    assert found['one'] == 1 and is_whole(found['much'])


def test_an_array_born_in_the_hive():
    numpy = pytest.importorskip('numpy')
    queue = skep.Queue()
    array = skep.zeros(BYTES, 'uint8')
    for mark, text in MARKS.items():
        array[mark:mark + len(text)] = numpy.frombuffer(text, 'uint8')
    queue.put(array)
    there = queue.get()
    assert is_whole(memoryview(there)) and numpy.shares_memory(there, array)


PEER = '''if True:
    import sys
    from multiprocessing.connection import Client
    with Client(sys.argv[1], authkey=b'key') as connection:
        connection.send_bytes(connection.recv_bytes())
        connection.recv_bytes()'''


def test_over_a_socket_to_the_standard_library_and_back():
    """There a length of more than 31 bits stands in eight bytes, behind four that say so."""
    with Listener(family='AF_UNIX', authkey=b'key') as listener:
        peer = subprocess.Popen([sys.executable, '-c', PEER, listener.address])
        with listener.accept() as connection:
            connection.send_bytes(message())
            assert is_whole(connection.recv_bytes())
            connection.send_bytes(b'end')
            assert peer.wait(timeout=500) == 0
