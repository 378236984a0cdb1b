# SPDX-License-Identifier: Apache-2.0
"""skep.shared_memory.ShareableList: what goes in comes out, with the standard library on the other side, torn by nobody."""
import multiprocessing.shared_memory
import os
import pickle
import signal
import threading
import time

import pytest

import skep
from skep.shared_memory import ShareableList

VALUES = ['howdy', b'HoWdY', -273.154, 100, None, True, 42]
ODD = ['', b'', 'x\0\0', b'\0', '\0', 'grün', '日本語テキスト', '𝄞' * 9, b'12345678', 'a' * 1000, -2 ** 63, 2 ** 63 - 1, float('inf'), False]


@pytest.fixture
def make():
    made = []

    def maker(*args, **kwargs):
        made.append(ShareableList(*args, **kwargs))
        return made[-1]

    yield maker
    for items in made:
        items.shm.close()
        items.shm.unlink()


def standard(name):
    """The same block through the standard library, without its tracker's idea of whose it is."""
    items = multiprocessing.shared_memory.ShareableList(name=name)
    from multiprocessing import resource_tracker
    resource_tracker.unregister(items.shm._name, 'shared_memory')
    return items


def same(got, wanted):
    return len(got) == len(wanted) and all(type(a) is type(b) and a == b for a, b in zip(got, wanted))


def test_values_and_types_are_kept(make):
    items = make(VALUES + ODD)
    again = ShareableList(name=items.shm.name)
    assert same(list(again), VALUES + ODD) and len(again) == len(VALUES + ODD)
    assert repr(make([1, 'a'])).startswith("ShareableList([1, 'a'], name='skep_")
    for _ in range(2):
        again = pickle.loads(pickle.dumps(again))
        assert same(list(again), VALUES + ODD)


def test_a_slot_changes_its_type_and_keeps_its_room(make):
    items = make(VALUES)
    for index in range(len(items)):
        for value in [1, 2.5, None, True, False, 'abc', b'12345678', 'ü' * 4, '\0\0', b'']:
            items[index] = value
            assert same([items[index]], [value])
        with pytest.raises(ValueError, match='exceeds available storage'):
            items[index] = 'ü' * 4 + '.'
        assert items[index] == b''
    wide = make([None, 1], room=100)
    wide[0] = 'x' * 104
    assert wide[0] == 'x' * 104
    with pytest.raises(ValueError):
        wide[1] = 'x' * 105


def test_index_errors_and_refusals(make):
    items = make(VALUES)
    count = len(items)
    assert items[-1] == 42 and items[-count] == 'howdy'
    for index in (count, -count - 1, 10 ** 30):
        with pytest.raises(IndexError):
            items[index]
        with pytest.raises(IndexError):
            items[index] = 1
    for value in (2 ** 63, -2 ** 63 - 1):
        with pytest.raises(OverflowError, match='64 bits'):
            items[3] = value
    for value in ([], 1j, object()):
        with pytest.raises(TypeError):
            items[3] = value
        with pytest.raises(TypeError):
            make([value])
    with pytest.raises(UnicodeEncodeError):
        items[0] = '\ud800'
    for slices in (lambda: items[1:2], lambda: items.__setitem__(slice(0, 1), [1]), lambda: items.__delitem__(0)):
        with pytest.raises((TypeError, AttributeError)):
            slices()
    with pytest.raises(ValueError, match='at most'):
        make(['x' * 1000000])
    assert same(list(items), VALUES)


def test_count_index_and_format(make):
    items = make(VALUES + [42, 'howdy', 1])
    assert items.count(42) == 2 and items.count('howdy') == 2 and items.count('nowhere') == 0 and items.count(1) == 2
    assert items.index(42) == 6 and items.index(None) == 4
    with pytest.raises(ValueError):
        items.index('nowhere')
    theirs = multiprocessing.shared_memory.ShareableList(VALUES)
    assert make(VALUES).format == theirs.format == '8s8sdqxxxxxx?xxxxxxxx?q'
    theirs.shm.close()
    theirs.shm.unlink()
    assert list(make([])) == [] and len(make()) == 0


def test_the_standard_library_reads_and_writes_ours(make):
    items = make(VALUES + ['grün', 'x\0\0', 'a' * 20])
    theirs = standard(items.shm.name)
    assert list(theirs)[:8] == VALUES + ['grün'] and theirs[8] == 'x' and theirs[9] == 'a' * 20
    theirs[8] = 'yz'  # now it is padding again
    theirs[9] = 'short'
    theirs[0] = 1.5
    theirs[3] = 'text'
    assert list(items) == [1.5, b'HoWdY', -273.154, 'text', None, True, 42, 'grün', 'yz', 'short']
    items[3] = 'new\0'
    assert theirs[3] == 'new' and items[3] == 'new\0'
    theirs.shm.close()


def test_we_read_and_write_the_standard_library_s():
    theirs = multiprocessing.shared_memory.ShareableList(VALUES + ['a' * 20])
    items = ShareableList(name=theirs.shm.name)
    assert same(list(items), list(theirs))
    for index, value in enumerate(['ab', b'cd', 1, 2.5, True, None, 'xyz', 'b' * 24]):
        items[index] = value
    assert same(list(theirs), list(items)) and items.format == theirs.format
    with pytest.raises(ValueError, match='made by multiprocessing'):
        items[0] = 'a\0'
    with pytest.raises(ValueError):
        items[0] = 'a' * 9
    items.shm.close()
    theirs.shm.close()
    theirs.shm.unlink()


def test_what_is_no_list_is_refused():
    block = skep.shared_memory.SharedMemory(create=True, size=100)
    for data in (b'\xff' * 100, b'\1' + bytes(99), b'\1' + bytes(7) + bytes(8) + b'\7' + bytes(83)):
        block.buf[:] = data
        with pytest.raises(ValueError, match='no ShareableList'):
            ShareableList(name=block.name)
    block.buf[:] = bytes(100)
    assert len(ShareableList(name=block.name)) == 0
    block.close()
    block.unlink()


def test_a_closed_list_says_so(make):
    items = ShareableList([1, 2])
    name = items.shm.name
    items.shm.close()
    for use in (lambda: items[0], lambda: items.__setitem__(0, 1), lambda: items.format):
        with pytest.raises(ValueError, match='closed'):
            use()
    assert list(ShareableList(name=name)) == [1, 2]
    items.shm.unlink()


def write_for_ever(items, values):
    while True:
        for value in values:
            items[0] = value


def test_no_value_is_torn_by_writers_that_are_killed(context, make):
    values = ['a' * 400, 'b' * 300 + '\0', 7, b'c' * 100]
    items = make(values[:1])
    for _ in range(5):
        writers = [context.Process(target=write_for_ever, args=(items, values)) for _ in range(2)]
        for writer in writers:
            writer.start()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            assert items[0] in values
        for writer in writers:
            writer.kill()
            writer.join()
        assert items[0] in values
        items[0] = values[0]
        assert items[0] == values[0]


def read_for_ever(items, errors):
    try:
        while True:
            items[0]
            items[1] = 7
    except ValueError as error:
        errors.append(str(error))


def test_closing_while_another_thread_is_at_work_is_safe():
    for _ in range(20):
        items, errors = ShareableList(['a' * 1000, 1]), []
        thread = threading.Thread(target=read_for_ever, args=(items, errors))
        thread.start()
        time.sleep(0.002)
        items.shm.close()
        items.shm.unlink()
        thread.join()
        assert errors == ['the block of the list is closed']


class Interrupted(Exception):
    pass


def interrupt(signum, frame):
    raise Interrupted


def set_within(items, seconds):
    """Whether it was written before a signal interrupted it."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        items[0] = 'c' * 400
        timer.cancel()
        timer.join()
        return True
    except Interrupted:
        return False


def test_a_wait_for_a_stopped_writer_can_be_interrupted(make):
    items = make(['a' * 400])
    writer = skep.get_context('fork').Process(target=write_for_ever, args=(items, ['b' * 400]))
    writer.start()
    previous = signal.signal(signal.SIGUSR1, interrupt)
    try:
        while True:  # until it is stopped where it holds the lock
            os.kill(writer.pid, signal.SIGSTOP)
            if not set_within(items, 0.1):
                break
            os.kill(writer.pid, signal.SIGCONT)
            time.sleep(0.001)
    finally:
        signal.signal(signal.SIGUSR1, previous)
        writer.kill()  # then it is dead, and its lock free
        writer.join()
    items[0] = 'done'
    assert items[0] == 'done'


def negate_last(items):
    items[-1] = -999


def test_another_process_changes_it(make, run):
    items = make(range(5))
    process = run(negate_last, items)
    process.join()
    assert list(items) == [0, 1, 2, 3, -999]
