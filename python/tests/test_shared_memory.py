# SPDX-License-Identifier: Apache-2.0
"""skep.shared_memory.SharedMemory and SharedMemoryManager: by name with the standard library, lifetimes, kill -9, views."""
import fcntl
import multiprocessing.shared_memory
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings

import numpy
import pytest

import skep
from skep.managers import SharedMemoryManager
from skep.shared_memory import SharedMemory


def there(name):
    return os.path.exists(f'/dev/shm/{name}')


def unused(name):
    """Whether nobody holds a lock on the file: other tests may be at work at the same time."""
    try:
        with open(f'/dev/shm/{name}', 'r+b') as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
    except OSError:
        return False


@pytest.fixture(autouse=True)
def nothing_left():
    before = set(os.listdir('/dev/shm'))
    yield
    left = {name for name in set(os.listdir('/dev/shm')) - before if name.startswith(('skep_', 'test-')) and unused(name)}
    if left:
        time.sleep(1)  # those of others are on their way
    assert {name for name in left if there(name) and unused(name)} == set()


def script(text, *args):
    """Run a program in a fresh interpreter; its output, after it has ended well and without a word on stderr."""
    done = subprocess.run([sys.executable, '-c', text, *args], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stderr == '', done.stderr
    return done.stdout


def start(text, *args):
    process = subprocess.Popen([sys.executable, '-c', text, *args], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == 'ready\n'
    return process


def kill(process):
    process.kill()
    process.wait()
    process.stdout.close()


def reap():
    skep.default_hive().reap()


USE = '''
import sys, time
from skep.shared_memory import SharedMemory
shm = SharedMemory(*eval(sys.argv[1]), **eval(sys.argv[2]))
print('ready', flush=True)
time.sleep(60)
'''

# The standard library's tracker would unlink what it attached: that is what track=False is for, where it exists.
STANDARD = '''
import sys
from multiprocessing import resource_tracker, shared_memory
shm = shared_memory.SharedMemory(sys.argv[1])
resource_tracker.unregister('/' + sys.argv[1], 'shared_memory')
'''


def test_attributes_and_refusals():
    shm = SharedMemory(create=True, size=1000)
    assert shm.size == 1000 and len(shm.buf) == 1000 and bytes(shm.buf) == bytes(1000) and not shm.buf.readonly
    assert repr(shm) == f'SharedMemory({shm.name!r}, size=1000)' and there(shm.name)
    assert os.stat(f'/dev/shm/{shm.name}').st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        SharedMemory(shm.name, create=True, size=10)
    for arguments in [dict(create=True), dict(create=True, size=-1), dict(), dict(create=True, size=1, name='a/b'), dict(name='a\0b'),
                      dict(name='')]:
        with pytest.raises(ValueError):
            SharedMemory(**arguments)
    with pytest.raises(TypeError):
        SharedMemory(5)
    shm.close()
    shm.close()
    assert shm.buf is None
    shm.unlink()
    with pytest.raises(FileNotFoundError):
        shm.unlink()
    with pytest.raises(FileNotFoundError) as error:
        SharedMemory(shm.name)
    assert error.value.filename == shm.name


def test_the_standard_library_sees_the_same_bytes_and_the_other_way_round():
    shm = SharedMemory('test-ours', create=True, size=5000)
    shm.buf[:5] = b'hello'
    out = script(STANDARD + "print(shm.size, bytes(shm.buf[:5])); shm.buf[:5] = b'world'; shm.close()", 'test-ours')
    assert out == "5000 b'hello'\n" and bytes(shm.buf[:5]) == b'world'
    shm.close()
    shm.unlink()
    theirs = multiprocessing.shared_memory.SharedMemory('test-theirs', create=True, size=100)
    theirs.buf[:3] = b'abc'
    ours = SharedMemory('test-theirs')
    assert ours.size == 100 and bytes(ours.buf[:3]) == b'abc'
    ours.buf[0] = 7
    assert theirs.buf[0] == 7
    ours.close()
    reap()
    assert there('test-theirs')  # not ours to remove
    theirs.close()
    theirs.unlink()


def test_close_then_unlink_in_another_process_and_after_the_maker_ended(context, run):
    names = context.Queue()
    process = context.Process(target=make_and_close, args=(names,))
    process.start()
    name = names.get()
    process.join()
    reap()
    for last in (False, True):  # two readers, one after the other
        shm = SharedMemory(name)
        assert bytes(shm.buf[:4]) == b'made'
        shm.close()
        if last:
            shm.unlink()
    assert not there(name)


def make_and_close(names):
    shm = SharedMemory(create=True, size=100)
    shm.buf[:4] = b'made'
    names.put(shm.name)
    shm.close()


def make_and_wait(names):
    shm = SharedMemory(create=True, size=100)
    names.put(shm.name)
    signal.pause()


def attach_and_wait(names, name):
    shm = SharedMemory(name)
    names.put(shm.name)
    signal.pause()


def test_a_name_that_was_passed_on_outlives_its_killed_maker():
    with skep.Pool(2) as pool:
        names = pool.map(make_for_others, range(4))
    reap()  # the pool has ended its workers by a signal
    SharedMemory(create=True, size=1).unlink()
    for number, name in enumerate(names):
        shm = SharedMemory(name)
        assert shm.buf[0] == number
        shm.close()
        shm.unlink()
    used = skep.default_hive().stat()['used_bytes']
    for _ in range(100):
        shm = SharedMemory(create=True, size=1)
        shm.close()
        shm.unlink()
        del shm
    assert skep.default_hive().stat()['used_bytes'] <= used


def make_for_others(number):
    shm = SharedMemory(create=True, size=10)
    shm.buf[0] = number
    if number % 2:
        shm.close()
    return shm.name


KEEP_AND_DIE = '''
import os, signal
from skep.shared_memory import SharedMemory
shm = SharedMemory('test-whole', create=True, size=10)
shm.close()
os.kill(os.getpid(), signal.SIGKILL)
'''


def test_a_name_that_was_passed_on_goes_when_the_whole_program_is_killed():
    subprocess.run([sys.executable, '-c', KEEP_AND_DIE])
    assert there('test-whole')
    SharedMemory('test-whole', create=True, size=1).unlink()
    assert not there('test-whole')


def test_killed_makers_and_users_leave_nothing_after_the_next_reap(context):
    names = context.Queue()
    maker = context.Process(target=make_and_wait, args=(names,))
    maker.start()
    name = names.get()
    user = context.Process(target=attach_and_wait, args=(names, name))
    user.start()
    assert names.get() == name
    maker.kill()
    maker.join()
    reap()
    assert there(name)  # somebody has it
    user.kill()
    user.join()
    reap()
    assert not there(name)


def test_a_block_of_another_hive_is_not_removed_while_it_is_used():
    shm = SharedMemory('test-shared', create=True, size=10)
    process = start(USE, '("test-shared",)', '{}')
    kill(process)
    reap()
    assert there('test-shared')
    process = start(USE, '("test-shared",)', '{}')
    shm.close()
    shm.unlink()
    kill(process)
    maker = start(USE, '("test-shared", True, 10)', '{}')
    shm = SharedMemory('test-shared')
    kill(maker)
    SharedMemory(create=True, size=1).unlink()
    assert there('test-shared')
    shm.close()  # the last one
    assert not there('test-shared')
    shm.unlink()  # removed already, by ourselves: no news
    with pytest.raises(FileNotFoundError):
        shm.unlink()


def test_the_name_of_a_killed_program_is_free():
    kill(start(USE, '("test-freed", True, 10)', '{}'))
    assert there('test-freed')
    shm = SharedMemory('test-freed', create=True, size=20)
    assert shm.size == 20
    shm.unlink()


@pytest.mark.parametrize('keep', [{'persist': True}, {'track': False}])
def test_persistent_blocks_stay(keep):
    kill(start(USE, '("test-kept", True, 10)', repr(keep)))
    reap()
    shm = SharedMemory('test-kept', track=False)
    shm.close()
    assert there('test-kept')
    shm.unlink()
    assert not there('test-kept')


def test_a_program_that_forgets_everything_leaves_nothing_and_says_nothing():
    name = script('''
import os
from skep.shared_memory import SharedMemory, ShareableList
kept = SharedMemory(create=True, size=10)
array = kept.buf[2:]
gone = SharedMemory(create=True, size=10)
gone.close()
del gone
items = ShareableList('abc')
print(kept.name)''').strip()
    assert not there(name)


def test_no_process_and_no_thread_is_started():
    assert script('''
import os, sys
from skep.shared_memory import SharedMemory
shm = SharedMemory(create=True, size=10)
print(len(os.listdir('/proc/self/task')), open(f'/proc/self/task/{os.getpid()}/children').read().split())
shm.close(); shm.unlink()''') == '1 []\n'


def test_shortage_is_an_error_and_not_a_signal():
    status = os.statvfs('/dev/shm')
    with pytest.raises(OSError, match='no room'):
        SharedMemory('test-large', create=True, size=status.f_bavail * status.f_frsize + (1 << 30))
    assert not there('test-large')


def in_a_mount_of_its_own(command, text):
    """Run a program where the shell command has been done to /dev; skipped where mounting is not allowed."""
    if subprocess.run(['unshare', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/dev/shm'], capture_output=True).returncode:
        pytest.skip('no right to mount here')
    done = subprocess.run(['unshare', '-m', 'sh', '-c', f'{command} && exec "$0" -c "$1"', sys.executable, text],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and done.stderr == '', done.stderr
    return done.stdout


SMALL = '''
from skep.shared_memory import SharedMemory
import errno, multiprocessing.shared_memory
blocks = []
try:
    while True:
        blocks.append(SharedMemory(create=True, size=1 << 20))
        blocks[-1].buf[-1] = 1
except OSError as error:
    print(len(blocks), error)
    assert error.errno == errno.ENOSPC
blocks.pop().unlink()
theirs = multiprocessing.shared_memory.SharedMemory('sparse', create=True, size=100 << 20)
try:
    SharedMemory('sparse')
except OSError as error:
    print(error)
theirs.close(); theirs.unlink()
'''


def test_a_small_dev_shm_is_an_error_and_not_a_signal():
    out = in_a_mount_of_its_own('mount -t tmpfs -o size=4m tmpfs /dev/shm', SMALL).splitlines()
    assert len(out) == 2 and 'no room' in out[0] and 'no room' in out[1] and int(out[0].split()[0]) >= 3


def test_no_dev_shm_at_all():
    assert in_a_mount_of_its_own('mount -t tmpfs tmpfs /dev', '''
import skep, skep.shared_memory
skep.Queue().put(1)
try:
    skep.shared_memory.SharedMemory(create=True, size=1)
except FileNotFoundError as error:
    print(error.strerror)
''') == 'there is no /dev/shm here\n'


def test_pickle():
    shm = SharedMemory(create=True, size=10)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(shm, protocol))
        assert type(again) is SharedMemory and again.name == shm.name
        again.buf[0] = protocol
        assert shm.buf[0] == protocol
        again.close()
    data = pickle.dumps(shm)
    shm.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(data)


def mapped_kilobytes():
    with open('/proc/self/status') as status:
        return next(int(line.split()[1]) for line in status if line.startswith('VmSize:'))


# --- views ------------------------------------------------------------------------------------------------------------------

def test_close_says_who_has_a_view():
    shm = SharedMemory(create=True, size=100)
    array = numpy.frombuffer(shm.buf, 'u1')
    part = shm.buf[10:20]
    with pytest.raises(BufferError, match=r'2 views of it are alive \(1 numpy.ndarray, \d memoryview\)'):
        shm.close()
    shm.buf[0] = 1  # nothing has changed
    assert array[0] == 1
    del array
    with pytest.raises(BufferError, match=r'1 view of it is alive \(1 memoryview\)'):
        shm.close()
    part.release()
    shm.close()
    shm.unlink()


@pytest.mark.skipif('asan' in os.environ.get('LD_PRELOAD', ''), reason='the sanitizer maps and unmaps memory of its own')
def test_an_array_that_exports_nothing_keeps_the_mapping():
    before = mapped_kilobytes()
    shm = SharedMemory(create=True, size=4 << 20)
    array = numpy.ndarray((4 << 20,), 'u1', buffer=shm.buf)
    array[:] = 7
    shm.close()
    shm.unlink()
    assert array.sum() == 7 * (4 << 20)
    assert mapped_kilobytes() >= before + (4 << 10)
    del array
    assert mapped_kilobytes() < before + (4 << 10)


def test_deletion_without_close_is_safe():
    shm = SharedMemory(create=True, size=100)
    name = shm.name
    array = numpy.frombuffer(shm.buf, 'u1')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        del shm
    assert array[99] == 0
    again = SharedMemory(name)  # the name is still there, as this process made it
    again.close()
    again.unlink()


def test_many_blocks_do_not_pile_up():
    descriptors = len(os.listdir('/proc/self/fd'))
    used = skep.default_hive().stat()['used_bytes']
    for _ in range(300):
        shm = SharedMemory(create=True, size=1)
        other = SharedMemory(shm.name)
        shm.close()
        other.unlink()
        other.close()
        del shm, other
    assert len(os.listdir('/proc/self/fd')) < descriptors + 100
    assert skep.default_hive().stat()['used_bytes'] < used + 100 * 1024


# --- manager ------------------------------------------------------------------------------------------------------------------

def sum_of(items, start, end, sums):
    sums.put(sum(items[i] for i in range(start, end)))


def test_manager_unlinks_what_it_made(context, run):
    sums = context.Queue()
    with SharedMemoryManager() as manager:
        items = manager.ShareableList(range(2000))
        block = manager.SharedMemory(100)
        run(sum_of, items, 0, 1000, sums)
        run(sum_of, items, 1000, 2000, sums)
        assert sums.get() + sums.get() == 1999000
        names = items.shm.name, block.name
        early = manager.SharedMemory(1)
        early.unlink()
    assert not any(map(there, names))
    for late in (lambda: manager.SharedMemory(1), lambda: SharedMemoryManager().ShareableList([1]), manager.__enter__):
        with pytest.raises(ValueError):
            late()
    with pytest.raises(skep.ProcessError):
        manager.start()
    manager.shutdown()
