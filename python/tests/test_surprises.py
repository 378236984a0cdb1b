# SPDX-License-Identifier: Apache-2.0
"""No surprises: what users' programs do beside putting and getting.  Each test is a program of its own with a time limit."""
# ctest: timeout=180
import glob
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import skep

SECONDS = 20 * int(os.environ.get('CK_TIMEOUT_MULTIPLIER', '1'))
SANITIZED = 'LD_PRELOAD' in os.environ  # takes address space and descriptors of its own


@pytest.fixture
def program(tmp_path):
    """Run a program, or one for each text in a shell command in the place of {}; it must end in order.  @return what it wrote"""
    def run(text, *, shell='{}', ends_with=0, environment=(), flags=''):
        path = tmp_path / 'program.py'
        path.write_text('import os, signal, sys, threading, time\nimport skep as mp\n' + textwrap.dedent(text))
        process = subprocess.Popen(shell.replace('{}', f'exec {sys.executable} {flags} {path}'), shell=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ, **dict(environment)})
        try:
            output, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, errors = process.communicate()
            pytest.fail(f'still running after {SECONDS} s:\n{output}{errors}')
        assert process.returncode == ends_with, output + errors
        return output.strip()
    return run


# --- fork -------------------------------------------------------------------------------------------------------------------

def test_fork_while_threads_of_the_parent_put_get_and_lock(program):
    assert program('''
        queue, lock, count, stop = mp.Queue(), mp.Lock(), mp.Value('i'), threading.Event()

        def work():
            own = mp.Queue()
            while not stop.is_set():
                own.put((1, 'x' * 300))
                own.get()
                with lock, count.get_lock():
                    count.value += 1

        def child(n):
            own = mp.Queue()                      # the child's state is whole, whatever the threads were in the middle of
            own.put(n)
            with lock:
                queue.put(own.get())

        threads = [threading.Thread(target=work) for _ in range(4)]
        [thread.start() for thread in threads]
        for n in range(40):
            process = mp.Process(target=child, args=(n,))
            process.start()
            process.join(15)
            assert process.exitcode == 0, process.exitcode
        stop.set()
        [thread.join() for thread in threads]
        print(sorted(queue.get() for _ in range(40)) == list(range(40)))
    ''') == 'True'


def test_os_fork_after_use_and_both_go_on(program):
    assert program('''
        queue = mp.Queue()
        queue.put('before')
        if os.fork() == 0:
            queue.put('child')
            os._exit(0)
        os.wait()
        print(queue.get(), queue.get())
    ''') == 'before child'


# --- exceptions -------------------------------------------------------------------------------------------------------------

def test_what_cannot_be_pickled_is_refused_and_nothing_else_is_lost(program):
    assert program('''
        class Bad:
            def __reduce__(self):
                raise ZeroDivisionError
        def put(obj):
            try:
                queue.put(obj)
            except ZeroDivisionError:
                print('refused', end=' ')
        queue = mp.Queue(3)
        for obj in ('a', Bad(), [mp.ones(10), Bad()], 'b', Bad(), Bad(), 'c'):
            put(obj)
        try:
            queue.put_nowait('d')
        except Exception as error:
            print(type(error).__name__, end=' ')
        print(queue.get(), queue.get(), queue.get(), queue.empty())
    ''') == 'refused refused refused refused Full a b c True'


def test_what_cannot_be_unpickled_costs_itself_only(program):
    assert program('''
        def explode():
            raise ZeroDivisionError
        class Bad:
            def __reduce__(self):
                return explode, ()
        queue = mp.Queue(3)
        receiver, sender = mp.Pipe(False)
        for put, get in (queue.put, queue.get), (sender.send, receiver.recv):
            for round in range(50):                # places are given back: there are three
                put('a'); put(Bad()); put('b')
                assert get() == 'a'
                try:
                    get()
                    print('it came out')
                except ZeroDivisionError:
                    pass
                assert get() == 'b'
        print(queue.empty(), receiver.poll())
    ''') == 'True False'


# --- the end ----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_a_program_ends_with_full_queues(program, method):
    assert program(f'''
        def fill(queue):
            for n in range(2000):
                queue.put(b'x' * 5000)             # 10 MB that nobody takes
        if __name__ == '__main__':
            mp.set_start_method('{method}')
            queue, small = mp.Queue(), mp.Queue(2)
            process = mp.Process(target=fill, args=(queue,))
            process.start()
            small.put(1); small.put(2)
            process.join()
            print(process.exitcode, queue.qsize())
    ''') == '0 2000'


def test_a_program_ends_while_a_thread_waits(program):
    program('''
        queue, lock = mp.Queue(), mp.Lock()
        lock.acquire()
        for call in queue.get, lock.acquire, mp.Event().wait, mp.Pipe()[0].recv:
            threading.Thread(target=call, daemon=True).start()
        time.sleep(0.1)
    ''')


@pytest.mark.parametrize('end', ['os._exit(3)', 'sys.exit(3)', 'os.kill(os.getpid(), signal.SIGKILL)'])
def test_what_a_child_put_is_there_however_it_ends(program, end):
    assert program(f'''
        def child():
            for n in range(500):
                queue.put((n, 'x' * n))
            {end}
        queue = mp.Queue()
        process = mp.Process(target=child)
        process.start()
        process.join()
        print(process.exitcode, [queue.get(timeout=5)[0] for _ in range(500)] == list(range(500)), queue.empty())
    ''') == ('-9' if 'kill' in end else '3') + ' True True'


def test_daemons_end_with_their_parent(program):
    pid = int(program('''
        def child():
            queue.put(os.getpid())
            mp.Queue().get()
        queue = mp.Queue()
        mp.Process(target=child, daemon=True).start()
        print(queue.get())
    '''))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
@pytest.mark.parametrize('end', ['return', 'sys.exit()'])
def test_a_child_that_ends_leaves_every_hive_in_order(program, method, end):
    """No barrier breaks for it, in whichever hive, and no name of a hive is left of which it was the last member."""
    assert program(f'''
        def child(name, barriers):
            global kept
            kept = mp.Hive.create(name, capacity=16 << 20)
            kept_queue = globals()['queue'] = kept.queue('q', create=True)
            kept_queue.put(1)
            for barrier in barriers:
                barrier.wait(10)
            {end}
        if __name__ == '__main__':
            context = mp.get_context('{method}')
            hives = mp.default_hive(), mp.Hive.create(capacity=16 << 20), mp.Hive.create('surprises-b-%d' % os.getpid(), capacity=16 << 20)
            barriers = [mp.synchronize.Barrier(2, hive=hive) for hive in hives]
            name = 'surprises-a-%d' % os.getpid()
            process = context.Process(target=child, args=(name, barriers))
            process.start()
            for barrier in barriers:
                barrier.wait(10)
            process.join()
            for hive in hives:
                hive.reap()
            print(process.exitcode, [barrier.broken for barrier in barriers], os.path.exists('/dev/shm/skep.' + name))
    ''') == '0 [False, False, False] False'


def test_a_program_that_ends_leaves_no_name(program):
    """Also if it never closed the hive, and its queue is held until the very end."""
    name = f'surprises-{os.getpid()}'
    program(f'''
        mp.held = mp.Hive.create('{name}', capacity=16 << 20).queue('q', create=True)
        mp.held.put(1)
        sys.modules['held'] = mp.held
    ''')
    assert not os.path.exists('/dev/shm/skep.' + name)


# --- many -------------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_a_queue_of_the_grandparent(program, method):
    assert program(f'''
        def grandchild(queue, back):
            back.put(queue.get() + ' and back')
        def child(queue, back):
            process = mp.Process(target=grandchild, args=(queue, back))
            process.start()
            process.join()
        if __name__ == '__main__':
            mp.set_start_method('{method}')
            queue, back = mp.Queue(), mp.Queue()
            process = mp.Process(target=child, args=(queue, back))
            process.start()
            queue.put('there')
            print(back.get())
            process.join()
    ''') == 'there and back'


def test_200_processes_on_one_queue(program):
    assert program('''
        def child(n):
            start.wait()
            there.put(n)
            back.get()
        there, back, start = mp.Queue(), mp.Queue(), mp.Event()
        processes = [mp.Process(target=child, args=(n,)) for n in range(200)]
        [process.start() for process in processes]
        start.set()
        print(sorted(there.get() for _ in range(200)) == list(range(200)))
        [back.put(n) for n in range(200)]
        [process.join() for process in processes]
        print({process.exitcode for process in processes}, back.empty())
    ''') == 'True\n{0} True'


def test_10000_queues_cost_little_and_go_again(program):
    assert program('''
        hive = mp.default_hive()
        descriptors = lambda: len(os.listdir('/proc/self/fd'))
        resident = lambda: int(open('/proc/self/statm').read().split()[1]) * os.sysconf('SC_PAGE_SIZE')
        mp.Queue()
        before, memory = descriptors(), resident()
        queues = [mp.Queue() for _ in range(10000)]
        for n, queue in enumerate(queues):
            queue.put(n)
        assert descriptors() == before, descriptors()
        assert resident() - memory < 10000 * 8192, (resident() - memory) / 10000
        assert [queue.get() for queue in queues] == list(range(10000))
        del queues, queue
        memory = resident()
        queues = [mp.Queue() for _ in range(10000)]     # in the memory of the first
        assert resident() - memory < 30 << 20, resident() - memory
        print(hive.verify()['problems'])
    ''') == '0'


# --- interrupts -------------------------------------------------------------------------------------------------------------

def test_keyboard_interrupt_anywhere(program):
    """An interrupted put() has put or has not, an interrupted get() has taken one or has not; nothing else goes, and order stays."""
    assert program('''
        import queue as standard, random
        queue, lock, (left, right) = mp.Queue(4), mp.Lock(), mp.Pipe()
        armed, stop, interrupts = False, threading.Event(), 0
        sys.setswitchinterval(1e-5)
        main = threading.main_thread().ident

        def handler(signum, frame):
            global armed
            if armed:
                armed = False
                raise KeyboardInterrupt
        signal.signal(signal.SIGINT, handler)

        def interrupt(pause=random.Random(1)):
            while not stop.wait(pause.uniform(0, 0.0007)):
                signal.pthread_kill(main, signal.SIGINT)

        def interrupted(call, *args, **kwargs):
            """What it returned; KeyboardInterrupt: that may have come after all was done."""
            global armed, interrupts
            try:
                armed = True
                result = call(*args, **kwargs)
                armed = False
                return result
            except KeyboardInterrupt:
                interrupts += 1
                return KeyboardInterrupt
            except (standard.Empty, standard.Full) as error:
                return type(error)
            finally:
                armed = False

        thread = threading.Thread(target=interrupt)
        thread.start()
        put, doubtful, taken, lost_at_most = [], set(), [], 0
        end, n = time.monotonic() + 2.5, 0
        while time.monotonic() < end:
            n += 1
            outcome = interrupted(queue.put, n, timeout=0.002)
            if outcome is KeyboardInterrupt:
                doubtful.add(n)
            elif outcome is None:
                put.append(n)
            if interrupted(lock.acquire) is not KeyboardInterrupt or lock.locked():
                lock.release()
            assert lock.acquire(timeout=5)
            lock.release()
            sent = interrupted(left.send, n)
            got = interrupted(right.recv) if sent is None else None
            assert got in (n, None, KeyboardInterrupt), (n, got)
            while right.poll():
                assert right.recv() == n
            if queue.qsize() == 4 or n % 3 == 0:
                for _ in range(3):
                    outcome = interrupted(queue.get, timeout=0.002)
                    if outcome is KeyboardInterrupt:
                        lost_at_most += 1
                    elif outcome is not standard.Empty:
                        taken.append(outcome)
        stop.set()
        thread.join()
        while not queue.empty():
            taken.append(queue.get())
        assert len(set(put) - set(taken)) <= lost_at_most
        assert taken == sorted(set(taken)) and set(taken) <= set(put) | doubtful
        assert interrupts > 100, interrupts
        print(mp.default_hive().verify()['problems'])
    ''') == '0'


@pytest.mark.parametrize('call', ['mp.Queue().get()', 'full.put(2)', 'held.acquire()', 'pipe[0].recv()', 'mp.Event().wait()',
                                  'mp.Barrier(2).wait()', 'mp.Semaphore(0).acquire()', 'mp.connection.wait([pipe[0]])'])
def test_keyboard_interrupt_ends_waiting(program, call):
    assert program(f'''
        full, held, pipe = mp.Queue(1), mp.Lock(), mp.Pipe()
        full.put(1); held.acquire()
        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            {call}
        except KeyboardInterrupt:
            print(full.get(), full.empty())
    ''') == '1 True'


# --- poor machines ----------------------------------------------------------------------------------------------------------

ROUND_TRIP = '''
    import array
    def child(there, back):
        got = there.get()
        back.put((len(got), sum(memoryview(got)[:10])))
    if __name__ == '__main__':
        mp.set_start_method(sys.argv[1] if len(sys.argv) > 1 else 'fork')
        there, back, lock, (left, right) = mp.Queue(), mp.Queue(), mp.Lock(), mp.Pipe()
        process = mp.Process(target=child, args=(there, back))
        process.start()
        there.put(bytes(range(256)) * 4096 * 96)   # 96 MiB
        with lock:
            left.send('x')
        print(back.get(timeout=15), right.recv())
        process.join()
'''
ROUND_TRIP_SAYS = '(100663296, 45) x'


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
@pytest.mark.skipif(SANITIZED, reason='a sanitizer has descriptors of its own')
def test_64_descriptors(program, method):
    assert program('''
        def child(queues, back):
            back.put(sum(queue.get() for queue in queues))
        if __name__ == '__main__':
            mp.set_start_method('%s')
            queues, locks, back = [mp.Queue() for _ in range(300)], [mp.Lock() for _ in range(300)], mp.Queue()
            pipes = [mp.Pipe() for _ in range(100)]
            processes = [mp.Process(target=child, args=(queues, back)) for _ in range(3)]
            for process in processes:
                process.start()
            for _ in processes:
                for queue in queues:
                    queue.put(1)
            total = sum(back.get(timeout=15) for _ in processes)
            [process.join() for process in processes]
            print(total)
    ''' % method, shell='ulimit -n 64; {}') == '900'


@pytest.fixture
def own_mounts():
    if subprocess.run(['unshare', '-m', 'true'], capture_output=True).returncode:
        pytest.skip('unshare -m is not allowed here')
    return 'unshare -m sh -c "{}"'


def test_a_shm_of_64_mb_is_enough(program, own_mounts):
    shell = own_mounts.replace('{}', 'mount -t tmpfs -o size=64m none /dev/shm && {}')
    assert program(ROUND_TRIP, shell=shell) == ROUND_TRIP_SAYS


def test_a_full_dev_shm_is_said_and_not_a_signal(program, own_mounts):
    shell = own_mounts.replace('{}', 'mount -t tmpfs -o size=64m none /dev/shm && {}')
    assert program('''
        try:
            mp.shared_memory.SharedMemory(create=True, size=100 << 20)
        except OSError as error:
            print(os.strerror(error.errno))
        block = mp.shared_memory.SharedMemory(create=True, size=10 << 20)
        block.buf[-1] = 1
        block.close(); block.unlink()
        print(os.listdir('/dev/shm'))
    ''', shell=shell) == 'No space left on device\n[]'


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_without_dev_shm(program, own_mounts, method):
    """An empty, read-only folder in its place: nothing can be made there."""
    shell = own_mounts.replace('{}', 'mount -t tmpfs -o ro none /dev/shm && {} ' + method)
    assert program(ROUND_TRIP, shell=shell) == ROUND_TRIP_SAYS


@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_with_read_only_temporary_folders(program, own_mounts, method):
    """The program lies in /tmp itself: it is bound onto itself, read-only."""
    shell = own_mounts.replace('{}', 'mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && {} ' + method)
    assert program(ROUND_TRIP, shell=shell) == ROUND_TRIP_SAYS


# --- company ----------------------------------------------------------------------------------------------------------------

def test_several_hives_in_one_process(program):
    assert program('''
        def child(queues):
            for queue in queues:
                queue.put(queue.get() + 1)
        hives = [mp.Hive.create(capacity=16 << 20) for _ in range(5)]
        queues = [mp.Queue()] + [hive.queue() for hive in hives]
        process = mp.Process(target=child, args=(queues,))
        [queue.put(10 * n) for n, queue in enumerate(queues)]
        process.start()
        process.join()
        queues[1].put(queues[2])                   # a reference to one hive in the message of another
        print([queue.get() for queue in queues[2:]], queues[0].get(), queues[1].get(), queues[1].get() is queues[2])
        print([hive.reap() and hive.verify()['problems'] for hive in hives])
    ''') == '[21, 31, 41, 51] 1 11 True\n[0, 0, 0, 0, 0]'


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_the_context_of_an_executor(program, method):
    assert program(f'''
        from concurrent.futures import ProcessPoolExecutor
        from concurrent.futures.process import BrokenProcessPool
        def send(queue, n):
            queue.put(n)
            return n * n
        def die():
            os.kill(os.getpid(), signal.SIGKILL)
        if __name__ == '__main__':
            context = mp.get_context('{method}')
            queue = context.Queue()
            with ProcessPoolExecutor(2, mp_context=context) as executor:
                print(sum(executor.map(send, [queue] * 10, range(10))), sorted(queue.get() for _ in range(10)) == list(range(10)))
                try:
                    executor.submit(die).result()
                except BrokenProcessPool:
                    print('broken')
    ''') == '285 True\nbroken'


def test_an_embedded_interpreter_imports(program, tmp_path):
    (tmp_path / 'embedded').mkdir()
    path = tmp_path / 'embedded/program.py'
    path.write_text('import sys; sys.executable = None\nimport skep as mp\nqueue = mp.Queue()\n'
                    'process = mp.get_context("fork").Process(target=queue.put, args=(1,))\nprocess.start()\nprint(queue.get())\nprocess.join()\n')
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=SECONDS)
    assert (done.returncode, done.stdout) == (0, '1\n'), done.stderr


def other_pythons():
    """{version: (interpreter, its headers, suffix of its extensions)} of those that skep is for and this is not."""
    found = {}
    for python in [*glob.glob(os.path.expanduser('~/.pyenv/versions/3.*/bin/python3')), *glob.glob('/usr/bin/python3.[0-9]*[0-9]')]:
        probe = 'import sys, sysconfig as s; print("%d.%d" % sys.version_info[:2], s.get_path("include"), s.get_config_var("EXT_SUFFIX"))'
        version, include, suffix = subprocess.run([python, '-c', probe], capture_output=True, text=True).stdout.split()
        if sys.version_info[:2] != tuple(map(int, version.split('.'))) >= (3, 9) and os.path.exists(f'{include}/Python.h'):
            found[version] = python, include, suffix
    return found


OTHERS = other_pythons()


@pytest.fixture(params=OTHERS or ['no other Python'])
def other_python(request, tmp_path):
    """(interpreter of another version, folder with skep for it), the extension compiled here over this build's library."""
    if not OTHERS:
        pytest.skip('no other Python from 3.9 on with its headers here')
    python, include, suffix = OTHERS[request.param]
    root, library = Path(__file__).resolve().parents[2], Path(skep._core.__file__).resolve().parents[2] / 'lib'
    if SANITIZED or not (library / 'libskep.so').exists() or not shutil.which('cc'):
        pytest.skip('no plain shared library or no compiler here')
    package = tmp_path / 'other/skep'
    package.mkdir(parents=True)
    for path in (root / 'python/skep').glob('*.py'):
        (package / path.name).symlink_to(path)
    subprocess.run(['cc', '-shared', '-O0', '-fPIC', '-std=gnu11', '-D_GNU_SOURCE', '-pthread', f'-I{root}/include', f'-I{include}',
                    *map(str, (root / 'python/ext').glob('*.c')), '-o', f'{package}/_core{suffix}', f'-L{library}', '-lskep', f'-Wl,-rpath,{library}'],
                   check=True)
    return python, package.parent


def test_two_versions_of_python_in_a_named_hive(program, other_python):
    python, folder = other_python
    name = f'surprises-{os.getpid()}'
    assert program(f'''
        import subprocess
        from skep.synchronize import Lock
        other = """if True:
            import sys, skep as mp
            from skep import _core
            from skep.synchronize import Lock
            with mp.Hive.open('{name}') as hive:
                there, back, lock = hive.queue('there'), hive.queue('back'), Lock.open(hive, 'lock')
                value = _core.Value.open(hive, 'value')
                number, text, values = (there.get(timeout=10) for _ in range(3))
                back.put((sys.version_info[1], number + 1, text * 2, bytes(values)[-3:], lock.acquire(block=False)))
                there.put(there)
                value.add(40)
                try:
                    hive.queue('none')
                except FileNotFoundError:
                    value.add(100)"""
        with mp.Hive.create('{name}', capacity=16 << 20) as hive:
            there, back = hive.queue('there', create=True), hive.queue('back', create=True)
            lock, value = Lock(hive=hive, name='lock'), mp.sharedctypes._core.Value(hive, 'q', name='value')
            value.add(2)
            for obj in 1, 'text', b'bytes' * 1000:
                there.put(obj)
            with lock:
                done = subprocess.run(['{python}', '-c', other], env={{**os.environ, 'PYTHONPATH': '{folder}'}}, timeout=15)
            assert done.returncode == 0
            minor, *rest = back.get(timeout=5)
            print(minor != sys.version_info[1], rest, there.get(timeout=5).reference == there.reference, value.add(0),
                  hive.reap() and hive.verify()['problems'])
    ''') == "True [2, 'texttext', b'tes', False] True 142 0"
