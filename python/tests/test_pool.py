# SPDX-License-Identifier: Apache-2.0
"""skep.pool: what it does, and what is left of it when something dies.  Long soak: SKEP_SOAK_SECONDS.

ctest: timeout=180
"""
import faulthandler
import gc
import operator
import os
import pickle
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import skep
from skep.pool import MaybeEncodingError, Pool, RemoteTraceback, ThreadPool, WorkerDied

import pool_children as children

METHODS = ['fork', 'spawn', 'forkserver']
numpy = pytest.importorskip('numpy')


@pytest.fixture(scope='module', params=METHODS)
def shared_pool(request):
    """One pool for the tests that leave it as they found it."""
    pool = skep.get_context(request.param).Pool(2)
    yield pool
    pool.close()
    pool.join()


@pytest.fixture
def pool():
    pool = skep.get_context('fork').Pool(2)
    yield pool
    pool.terminate()
    pool.join()
    assert all(not worker.is_alive() for worker in pool._pool)
    assert skep.default_hive().verify()['problems'] == 0


def comes(condition, seconds=10):
    limit = time.monotonic() + seconds
    while not condition() and time.monotonic() < limit:
        time.sleep(0.005)
    return condition()


def is_running(pid):
    try:
        with open(f'/proc/{pid}/stat') as stat:
            return stat.read().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


# --- what it does -----------------------------------------------------------------------------------------------------------

def test_map_and_apply(shared_pool):
    assert shared_pool.map(children.square, range(100)) == [x * x for x in range(100)]
    assert shared_pool.map(children.square, range(100), 1) == [x * x for x in range(100)]
    assert shared_pool.map(children.square, (x for x in range(7)), 3) == [x * x for x in range(7)]
    assert shared_pool.map(children.square, []) == []
    assert shared_pool.starmap(children.add, [(1, 2), (3, 4)]) == [3, 7]
    assert shared_pool.apply(children.add, (1,), {'z': 5}) == 6
    assert shared_pool.apply(operator.add, (1, 2)) == 3
    assert shared_pool.map_async(children.square, [3]).get(10) == [9]
    assert shared_pool.starmap_async(pow, [(2, 5)]).get(10) == [32]


def test_imap(shared_pool):
    assert list(shared_pool.imap(children.square, range(50))) == [x * x for x in range(50)]
    assert list(shared_pool.imap(children.square, iter(range(50)), 7)) == [x * x for x in range(50)]
    assert sorted(shared_pool.imap_unordered(children.square, range(50), 3)) == [x * x for x in range(50)]
    it = shared_pool.imap(children.square, range(3))
    assert [it.next(timeout=10), next(it), it.next()] == [0, 1, 4]
    with pytest.raises(ValueError):
        shared_pool.imap(children.square, [1], 0)


def test_an_iterator_gives_errors_in_place_and_goes_on(shared_pool):
    it = shared_pool.imap(children.fail, [1, 2])
    for number in (1, 2):
        with pytest.raises(ValueError) as error:
            it.next(10)
        assert error.value.args == ('no such thing', number)
    with pytest.raises(StopIteration):
        it.next(10)


def test_an_iterable_that_raises(shared_pool):
    def broken():
        yield 1
        yield 2
        raise KeyError('here')

    it = shared_pool.imap(children.square, broken())
    assert [next(it), next(it)] == [1, 4]
    with pytest.raises(KeyError):
        next(it)
    with pytest.raises(KeyError):
        shared_pool.map(children.square, broken())


def test_results_know_their_state(shared_pool):
    result = shared_pool.apply_async(children.sleep, (0.2,))
    with pytest.raises(ValueError, match='not ready'):
        result.successful()
    with pytest.raises(skep.TimeoutError):
        result.get(0.01)
    assert not result.ready()
    result.wait()
    assert result.ready() and result.successful() and result.get() == 0.2
    failed = shared_pool.apply_async(children.fail, (1,))
    failed.wait(10)
    assert failed.ready() and not failed.successful()


def test_callbacks_run_once_and_before_the_result_is_ready(shared_pool):
    calls = []
    result = shared_pool.map_async(children.square, [1, 2], callback=calls.append, error_callback=calls.append)
    result.wait(10)
    assert calls == [[1, 4]]
    result = shared_pool.apply_async(children.fail, (5,), callback=calls.append, error_callback=calls.append)
    result.wait(10)
    assert len(calls) == 2 and isinstance(calls[1], ValueError)
    done = threading.Event()  # with nobody who waits for the result
    shared_pool.apply_async(children.square, (3,), callback=lambda value: done.set())
    assert done.wait(10)


def test_a_callback_may_use_the_pool(shared_pool):
    seen = []
    shared_pool.apply_async(children.square, (3,), callback=lambda value: seen.append(shared_pool.apply(children.square, (value,)))).wait(10)
    assert seen == [81]


def test_a_callback_that_raises_costs_nothing_else(shared_pool, capfd):
    result = shared_pool.apply_async(children.square, (3,), callback=lambda value: 1 / 0)
    assert result.get(10) == 9
    assert shared_pool.apply_async(children.square, (4,), callback=lambda value: None).get(10) == 16
    assert 'ZeroDivisionError' in capfd.readouterr().err


def test_tracebacks_of_the_worker_come_along(shared_pool):
    with pytest.raises(ValueError) as error:
        shared_pool.apply(children.fail, (1,))
    assert isinstance(error.value.__cause__, RemoteTraceback)
    assert 'a line to be found in the traceback' in str(error.value.__cause__)


def test_the_pool_is_used_by_several_threads(shared_pool):
    found = []

    def use(start):
        for number in range(start, start + 50):
            found.append(shared_pool.apply(children.square, (number,)) == number * number)
            found.append(shared_pool.map(children.square, [number], 1) == [number * number])

    threads = [threading.Thread(target=use, args=(1000 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400 and all(found)


def test_queues_are_arguments_and_results(shared_pool):
    queue = skep.Queue()
    assert shared_pool.apply(children.put_on, (queue, 'through a task')) is True
    assert queue.get(timeout=5) == 'through a task'
    assert shared_pool.apply(children.identity, (queue,)) is queue


def test_initializer_and_maxtasksperchild(context):
    with context.Pool(2, children.remember, ('word',), maxtasksperchild=3) as pool:
        assert pool.map(children.tell_word, range(20), 1) == ['word'] * 20
        assert len(set(pool.map(children.pid_of, range(20), 1))) >= 4
    with pytest.raises(ValueError):
        context.Pool(2, maxtasksperchild=0)
    with pytest.raises(ValueError):
        context.Pool(0)
    with pytest.raises(TypeError):
        context.Pool(1, initializer=5)


def test_pools_can_be_nested(shared_pool):
    assert shared_pool.map(children.nested, [3, 4], 1) == [[0, 1, 4], [0, 1, 4, 9]]


def test_close_and_join_wait_for_what_was_asked_for(context):
    pool = context.Pool(2)
    result = pool.map_async(children.square, range(1000), 1)
    it = pool.imap_unordered(children.square, iter(range(100)))
    with pytest.raises(ValueError, match='still running'):
        pool.join()
    pool.close()
    pool.join()
    assert result.get(0) == [x * x for x in range(1000)] and sorted(it) == [x * x for x in range(100)]
    for call in (lambda: pool.map(children.square, [1]), lambda: pool.apply(children.square, (1,)), lambda: pool.__enter__(),
                 lambda: pool.imap(children.square, [1])):
        with pytest.raises(ValueError, match='Pool not running'):
            call()


def test_terminate_ends_workers_and_those_who_wait(context):
    pool = context.Pool(2)
    pids = [worker.pid for worker in pool._pool]
    results = [pool.apply_async(children.sleep, (60,)) for _ in range(10)]
    waiting = threading.Thread(target=lambda: pytest.raises(RuntimeError, results[-1].get))
    waiting.start()
    pool.apply_async(children.square, (1,))
    start = time.monotonic()
    pool.terminate()
    pool.terminate()
    pool.join()
    waiting.join(5)
    assert not waiting.is_alive() and time.monotonic() - start < 5
    assert not any(is_running(pid) for pid in pids)
    with pytest.raises(RuntimeError, match='terminated'):
        results[0].get()


def test_other_properties():
    pool = skep.get_context('fork').Pool(1)
    assert repr(pool) == '<skep.pool.Pool state=RUN pool_size=1>'
    assert isinstance(pool, Pool) and pool._processes == 1 and len(pool._pool) == 1 and 'PoolWorker' in pool._pool[0].name
    with pytest.raises(NotImplementedError):
        pickle.dumps(pool)
    with pytest.warns(ResourceWarning, match='unclosed running'):
        pid = pool._pool[0].pid
        del pool
        gc.collect()
    assert comes(lambda: not is_running(pid))
    with ThreadPool(2) as threads:
        assert threads.map(children.square, [2]) == [4]


def test_nothing_is_left_open():
    def once():
        with skep.get_context('fork').Pool(2) as pool:
            pool.map(children.square, range(10))
        pool.join()
        gc.collect()

    once()
    before, blocks = len(os.listdir('/proc/self/fd')), skep.default_hive().stat()['blocks']
    for _ in range(3):
        once()
    assert len(os.listdir('/proc/self/fd')) == before
    assert skep.default_hive().stat()['blocks'] <= blocks


def test_a_pool_at_rest_uses_no_processor_time(pool):
    pool.map(children.square, range(10), 1)
    before = time.process_time(), [child_ticks(worker.pid) for worker in pool._pool]
    time.sleep(1)
    assert time.process_time() - before[0] < 0.05
    assert sum(child_ticks(worker.pid) for worker in pool._pool) - sum(before[1]) <= 4  # hundredths of a second


def child_ticks(pid):
    with open(f'/proc/{pid}/stat') as stat:
        return sum(map(int, stat.read().rsplit(')', 1)[1].split()[11:13]))


# --- arrays -----------------------------------------------------------------------------------------------------------------

def test_large_arrays_go_and_come(shared_pool):
    array = numpy.arange(100_000.0)
    result = shared_pool.apply(children.negate_in_place, (array,))
    assert (result == -array).all() and result.flags.writeable and array[1] == 1
    assert (shared_pool.apply(children.make_array, (50_000,)) == 3).all()
    fortran = numpy.asfortranarray(numpy.arange(40_000.0).reshape(200, 200))
    assert (shared_pool.apply(children.identity, ({'a': fortran},))['a'] == fortran).all()


@pytest.mark.parametrize('dtype', ['M8[ms]', [('time', 'M8[s]'), ('value', 'f8'), ('text', 'S48')]])
def test_arrays_with_times_go_out_of_band_too(shared_pool, dtype):
    array = numpy.zeros((100, 200), dtype)
    array.reshape(-1).view('u1')[::3] = 5
    for sent in (array, numpy.asfortranarray(array), array[::2], array[0, 0], array[:0]):
        assert numpy.array_equal(shared_pool.apply(children.identity, ((sent,),))[0], sent) and sent.dtype == array.dtype
    born = skep.zeros(array.nbytes, 'uint8').view(array.dtype)
    shared_pool.apply(children.set_first, (born, array[0, 1]))
    assert born[0] == array[0, 1]


def test_arrays_of_the_hive_go_by_reference(shared_pool):
    array = skep.full(100_000, 2, 'float64')
    shared_pool.apply(children.negate_in_place, (array,))
    assert (array == -2).all()
    array[...] = 1
    assert shared_pool.map(children.total, [array[:10], array], 1) == [10, 100_000]


def test_an_array_of_several_tasks_is_copied_once(pool, tmp_path):
    array = numpy.ones(1 << 20)
    before = skep.default_hive().stat()['used_bytes']
    result = pool.starmap_async(children.total_when, [(array, str(tmp_path / 'go'))] * 8, 1)
    assert skep.default_hive().stat()['used_bytes'] - before < 1.5 * array.nbytes
    (tmp_path / 'go').touch()
    assert result.get(10) == [(float(1 << 20), False)] * 8  # read-only: the others see the same memory
    assert pool.apply(children.total_when, (array, str(tmp_path / 'go'))) == (float(1 << 20), True)
    assert comes(lambda: skep.default_hive().stat()['used_bytes'] - before < array.nbytes)


# --- what cannot be sent ----------------------------------------------------------------------------------------------------

def test_what_cannot_be_pickled_raises_in_the_call(shared_pool):
    for call in (lambda: shared_pool.map(children.square, [children.RefusesPickle()] * 3),
                 lambda: shared_pool.apply_async(children.square, (children.RefusesPickle(),))):
        with pytest.raises(RuntimeError, match='not to be pickled'):
            call()
    with pytest.raises(TypeError, match='lock'):
        shared_pool.apply(children.square, (threading.Lock(),))
    assert shared_pool.apply(children.square, (2,)) == 4


def test_results_that_cannot_be_pickled_or_loaded(shared_pool):
    with pytest.raises(MaybeEncodingError, match='lock'):
        shared_pool.apply(children.return_lock, (1,))
    with pytest.raises(ValueError, match='no such thing'):
        shared_pool.apply(children.return_refusing, (1,))
    assert shared_pool.apply(children.square, (2,)) == 4


def test_exceptions_that_cannot_be_pickled_or_made_again(shared_pool):
    with pytest.raises(MaybeEncodingError) as error:
        shared_pool.apply(children.fail_unloadably, ('first',))
    assert 'TwoArguments' in str(error.value.__cause__)
    with pytest.raises(MaybeEncodingError) as error:
        shared_pool.map(children.fail_unpicklably, [1])
    assert 'holds a lock' in str(error.value.__cause__)
    assert shared_pool.apply(children.square, (2,)) == 4


def test_arguments_that_cannot_be_loaded(shared_pool):
    with pytest.raises(ValueError, match='no such thing'):
        shared_pool.apply(children.identity, (children.RefusesToLoad(),))
    assert shared_pool.apply(children.square, (2,)) == 4


def test_a_function_that_the_worker_does_not_find(tmp_path):
    script = tmp_path / 'program.py'
    script.write_text(
        'import skep\n'
        'if __name__ == "__main__":\n'
        '    def only_here(x):\n'
        '        return x\n'
        '    with skep.get_context("spawn").Pool(1) as pool:\n'
        '        try:\n'
        '            pool.map(only_here, [1])\n'
        '        except AttributeError as error:\n'
        '            print(error)\n'
        '        print(pool.apply(abs, (-1,)))\n')
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, env=environment())
    assert "Can't get attribute 'only_here'" in done.stdout and done.stdout.endswith('1\n')


def test_lambdas(shared_pool):
    offset = 5
    try:
        import cloudpickle
    except ImportError:
        with pytest.raises(Exception, match='cloudpickle'):
            shared_pool.map(lambda x: x + offset, [1])
    else:
        assert shared_pool.map(lambda x: x + offset, [1, 2]) == [6, 7]


def test_lambdas_by_a_cloudpickle_of_our_own(shared_pool, monkeypatch):
    """The way through cloudpickle without it: anything with its dumps()."""
    class CloudPickle:
        @staticmethod
        def dumps(obj, protocol):
            return pickle.dumps(children.square)

    monkeypatch.setitem(sys.modules, 'cloudpickle', CloudPickle)
    assert shared_pool.map(lambda x: None, [3]) == [9]


# --- death ------------------------------------------------------------------------------------------------------------------

def environment():
    return {**os.environ, 'PYTHONPATH': os.pathsep.join([*sys.path, os.path.dirname(__file__)])}


@pytest.mark.parametrize('how, exitcode', [('kill', -signal.SIGKILL), ('segfault', -signal.SIGSEGV), ('exit', 7), ('sys.exit', 9)])
def test_the_task_of_a_dead_worker_fails_and_the_others_go_on(shared_pool, how, exitcode):
    others = shared_pool.map_async(children.square, range(200), 1)
    dead = shared_pool.apply_async(children.die, (how,))
    with pytest.raises(WorkerDied) as error:
        dead.get(20)
    assert error.value.exitcode == exitcode and error.value.task == 'die()' and str(error.value.pid) in str(error.value)
    assert others.get(20) == [x * x for x in range(200)]
    assert comes(lambda: len(shared_pool._pool) == 2 and all(worker.is_alive() for worker in shared_pool._pool))


def test_map_fails_when_a_worker_died_and_says_where(shared_pool):
    with pytest.raises(WorkerDied, match=r'killed by SIGKILL while it ran die_on\(\) on item 5'):
        shared_pool.starmap(children.die_on, [(x, 5) for x in range(10)], 1)
    it = shared_pool.imap(children.die, ['a', 'kill', 'b'])
    assert next(it) == 'a'
    with pytest.raises(WorkerDied):
        next(it)
    assert next(it) == 'b'


def test_a_worker_that_dies_while_it_loads_its_arguments(shared_pool):
    with pytest.raises(WorkerDied) as error:
        shared_pool.apply(children.identity, (children.DiesWhenLoaded(),))
    assert error.value.exitcode == 5
    assert shared_pool.apply(children.square, (2,)) == 4


def test_retries(shared_pool, tmp_path):
    assert shared_pool.starmap(children.die_at_first, [(str(tmp_path / f'{x}'), x) for x in range(3)], 1, retries=3) == [0, 1, 2]
    with pytest.raises(WorkerDied):
        shared_pool.apply(children.die, ('kill',), retries=2)


def test_an_initializer_that_raises_breaks_the_pool(context):
    with context.Pool(2, children.bad_initializer, ('told',)) as pool:
        with pytest.raises(LookupError, match='told'):
            pool.map(children.square, range(10))
        with pytest.raises(LookupError, match='told'):
            pool.apply(children.square, (1,))
        pool.close()
        pool.join()
    with context.Pool(2, os._exit, (3,)) as pool:
        with pytest.raises(RuntimeError, match='ended with exit code 3 before it could take a task'):
            pool.map(children.square, range(10))


def test_killed_between_two_tasks_nothing_is_lost(pool):
    for _ in range(5):
        for worker in pool._pool:
            os.kill(worker.pid, signal.SIGKILL)
        assert pool.map(children.square, range(20), 1) == [x * x for x in range(20)]


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('how', [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_their_parent(method, how, tmp_path):
    path = tmp_path / 'pids'
    parent = subprocess.Popen([sys.executable, children.__file__, method, path], env=environment())
    assert comes(lambda: os.path.exists(f'{path}.done'), 20)
    with open(f'{path}.done') as lines:
        pids = [int(pid) for pid in lines.read().split()]
    assert len(pids) >= 2
    parent.send_signal(how)
    parent.wait()
    assert comes(lambda: not any(is_running(pid) for pid in pids), 2)


def test_a_forked_child_is_told_that_the_pool_is_not_its_own(pool):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            pool.map(children.square, [1])
        except RuntimeError as error:
            os.write(writer, str(error).encode())
        pool.terminate()
        os._exit(0)
    os.waitpid(pid, 0)
    assert f'belongs to process {os.getpid()}' in os.read(reader, 1000).decode()
    os.close(reader)
    os.close(writer)
    assert pool.map(children.square, [3]) == [9]


def test_control_c_in_the_middle_of_map(context):
    with pytest.raises(KeyboardInterrupt):
        with context.Pool(2) as pool:
            pids = [worker.pid for worker in pool._pool]
            pool.map(children.square, range(4), 1)
            timer = threading.Timer(0.3, lambda: [os.kill(pid, signal.SIGINT) for pid in [*pids, os.getpid()]])
            timer.start()
            pool.map(children.sleep, [20] * 4, 1)
    timer.join()
    assert comes(lambda: not any(is_running(pid) for pid in pids))


def test_an_interrupt_forgets_no_result(pool):
    """SIGINT again and again while results are being taken."""
    class Disturbed(KeyboardInterrupt):
        pass

    def handler(signum, frame):
        nonlocal armed, raised
        if armed:
            armed = False
            raised += 1
            raise Disturbed

    armed, raised = False, 0
    stop = threading.Event()
    before = signal.signal(signal.SIGINT, handler)
    disturber = threading.Thread(target=lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in iter(lambda: stop.wait(0.0005), True)])
    disturber.start()
    try:
        limit = time.monotonic() + 10
        while raised < 10 and time.monotonic() < limit:
            results = [pool.apply_async(children.square, (x,)) for x in range(2000)]
            left = list(results)
            while left:
                try:
                    armed = True
                    left[-1].wait(20)
                    armed = False
                    left.pop()
                except Disturbed:
                    pass
            assert [result.get(0) for result in results] == [x * x for x in range(2000)]
    finally:
        stop.set()
        disturber.join()
        signal.signal(signal.SIGINT, before)
    assert raised >= 10


@pytest.mark.parametrize('retries', [0, 1000])
def test_soak_each_task_is_done_once_or_reported(retries):
    """A worker is killed every 20 ms.  Each task adds one to its own word.  The long run does 100 000 tasks at least."""
    long = os.environ.get('SKEP_SOAK_SECONDS')
    seconds, least = (float(long), 100_000) if long else (3.0, 0)
    signal.alarm(int(seconds) + (600 if long else 60))
    faulthandler.dump_traceback_later(seconds + (660 if long else 120), exit=True)
    seed = random.randrange(1 << 30)
    print('seed', seed)
    choose = random.Random(seed)
    ends = time.monotonic() + seconds
    stop = threading.Event()
    died = done = kills = 0
    with skep.get_context('fork').Pool(4) as pool:
        def kill():
            nonlocal kills
            while not stop.wait(0.02):
                try:
                    os.kill(choose.choice(pool._pool).pid, signal.SIGKILL)
                    kills += 1
                except (ProcessLookupError, IndexError):
                    pass

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            while time.monotonic() < ends or done + died < least:
                marks = skep.zeros(2000, 'int64')
                results = [pool.apply_async(children.mark, (marks, index, 0.001 * (index % 10 == 0)), retries=retries) for index in range(2000)]
                for index, result in enumerate(results):
                    try:
                        assert result.get(20) == index
                        assert marks[index] == 1 if not retries else marks[index] >= 1
                        done += 1
                    except WorkerDied:
                        assert not retries and marks[index] <= 1
                        died += 1
                assert not pool._crew._open
        finally:
            stop.set()
            killer.join()
        pool.close()
        pool.join()
    print(f'{kills} kills; {done} tasks done, {died} reported')
    assert done and (retries or died)
    assert skep.default_hive().verify()['problems'] == 0


# --- progress ---------------------------------------------------------------------------------------------------------------

def test_progress_is_shown_on_terminals_only(pool, monkeypatch, capfd):
    assert pool.map(children.square, range(10), progress=True) == [x * x for x in range(10)]
    assert capfd.readouterr().err == ''
    leader, follower = os.openpty()
    with os.fdopen(follower, 'w') as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, 'stderr', terminal)
        patch.setitem(sys.modules, 'tqdm.auto', None)
        assert pool.map(children.square, range(10), 1, progress=True) == [x * x for x in range(10)]
        assert list(pool.imap(children.square, range(10), progress=True)) == [x * x for x in range(10)]
        shown = ''
        while shown.count('100 % |##############################| 10/10') < 2:  # else the time limit
            shown += os.read(leader, 10000).decode()
    os.close(leader)
    assert '  0 % |' in shown
