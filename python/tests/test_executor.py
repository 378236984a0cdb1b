# SPDX-License-Identifier: Apache-2.0
"""skep.ProcessPoolExecutor.  ctest: timeout=300"""
import concurrent.futures
import os
import signal
import subprocess
import sys
import threading
import time
import weakref

import pytest

import skep
from concurrent.futures.process import BrokenProcessPool

import pool_children as children
from test_pool import METHODS, comes, environment, is_running

numpy = pytest.importorskip('numpy')


@pytest.fixture(scope='module', params=METHODS)
def executor(request):
    with skep.ProcessPoolExecutor(2, mp_context=skep.get_context(request.param)) as executor:
        yield executor


def test_it_is_an_executor(executor):
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(children.add, 1, y=2, z=3)
    assert isinstance(future, concurrent.futures.Future) and future.result(10) == 6
    futures = [executor.submit(children.square, x) for x in range(50)]
    assert sorted(future.result() for future in concurrent.futures.as_completed(futures, 10)) == [x * x for x in range(50)]
    done, left = concurrent.futures.wait([executor.submit(children.sleep, 0.01), executor.submit(children.sleep, 1)],
                                         return_when=concurrent.futures.FIRST_COMPLETED)
    assert len(done) == 1 and len(left) == 1
    assert executor._max_workers == 2 and executor._broken is False
    assert sorted(executor._processes) == sorted(worker.pid for worker in executor._processes.values())


def test_map(executor):
    assert list(executor.map(children.add, range(10), range(10))) == [2 * x for x in range(10)]
    assert list(executor.map(children.square, range(10), chunksize=3)) == [x * x for x in range(10)]
    assert list(executor.map(children.square, range(10), chunksize=2, buffersize=2)) == [x * x for x in range(10)]
    assert list(executor.map(children.square, [])) == []
    with pytest.raises(ValueError):
        executor.map(children.square, [1], chunksize=0)
    with pytest.raises(ValueError):
        executor.map(children.square, [1], buffersize=0)
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(children.sleep, [0.01, 1], timeout=0.2))
    with pytest.raises(ValueError, match='no such thing'):
        list(executor.map(children.fail, range(3)))


def test_buffersize_limits_what_is_taken_from_the_iterables(executor):
    taken = []

    def numbers():
        for number in range(20):
            taken.append(number)
            yield number

    results = executor.map(children.square, numbers(), buffersize=3)
    assert len(taken) == 3
    assert next(results) == 0 and len(taken) == 4
    assert list(results) == [x * x for x in range(1, 20)]


def test_callbacks_and_tracebacks(executor):
    seen = threading.Event()
    executor.submit(children.square, 3).add_done_callback(lambda future: future.result() == 9 and seen.set())
    assert seen.wait(10)
    with pytest.raises(ValueError) as error:
        executor.submit(children.fail, 1).result()
    assert 'a line to be found in the traceback' in error.value.__cause__.tb
    assert executor.submit(children.die, 'nothing').exception() is None


def test_what_cannot_be_sent(executor):
    with pytest.raises(RuntimeError, match='not to be pickled'):
        executor.submit(children.square, children.RefusesPickle()).result()
    with pytest.raises(TypeError, match='lock'):
        executor.submit(children.return_lock, 1).result(10)
    assert isinstance(executor.submit(children.fail_unloadably, 1).exception(10), Exception)
    assert executor.submit(children.square, 2).result() == 4


def test_futures_can_be_cancelled_until_they_are_taken(executor, tmp_path):
    blocking = [executor.submit(children.wait_for_file, str(tmp_path / 'go')) for _ in range(2)]
    assert comes(lambda: all(future.running() for future in blocking))
    waiting = [executor.submit(children.square, x) for x in range(100)]
    assert [future.cancel() for future in waiting[10:]] == [True] * 90
    assert not blocking[0].cancel()
    (tmp_path / 'go').touch()
    assert [future.result(10) for future in waiting[:10]] == [x * x for x in range(10)]
    assert all(future.cancelled() for future in waiting[10:])
    assert concurrent.futures.wait(waiting, 5).not_done == set()


@pytest.mark.parametrize('how, exitcode', [('kill', -signal.SIGKILL), ('exit', 7)])
def test_a_dead_worker_takes_its_own_task_only(executor, how, exitcode):
    others = [executor.submit(children.square, x) for x in range(100)]
    dead = executor.submit(children.die, how)
    others += [executor.submit(children.square, x) for x in range(100)]
    error = dead.exception(20)
    assert isinstance(error, skep.WorkerDied) and isinstance(error, BrokenProcessPool) and error.exitcode == exitcode
    assert [future.result(20) for future in others] == [x * x for x in range(100)] * 2


def test_retries(executor, tmp_path):
    assert executor.submit_with(retries=2)(children.die_at_first, str(tmp_path / 'once'), 5).result(20) == 5
    assert list(executor.map(children.die_at_first, [str(tmp_path / 'again')], [6], retries=2)) == [6]


def test_arrays(executor):
    array = numpy.ones(1 << 18)
    assert (executor.submit(children.negate_in_place, array).result() == -1).all() and array[0] == 1
    shared = skep.full(1 << 18, 2, 'float64')
    executor.submit(children.negate_in_place, shared).result()
    assert (shared == -2).all()
    assert list(executor.map(children.total, [array] * 4)) == [1 << 18] * 4


@pytest.mark.parametrize('method', METHODS)
def test_shutdown(method):
    executor = skep.ProcessPoolExecutor(2, mp_context=skep.get_context(method))
    futures = [executor.submit(children.sleep, 0.05) for _ in range(10)]
    processes = list(executor._processes.values())
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match='cannot schedule new futures after shutdown'):
        executor.submit(children.square, 1)
    executor.shutdown()
    assert [future.result(0) for future in futures] == [0.05] * 10
    assert not any(process.is_alive() for process in processes) and executor._processes is None
    skep.ProcessPoolExecutor(1).shutdown()  # never used


def test_shutdown_cancels_what_nobody_has_taken():
    executor = skep.ProcessPoolExecutor(2, mp_context=skep.get_context('fork'))
    futures = [executor.submit(children.sleep, 0.1) for _ in range(50)]
    assert comes(lambda: futures[0].running())
    executor.shutdown(cancel_futures=True)
    cancelled = [future for future in futures if future.cancelled()]
    assert len(cancelled) >= 40 and all(future.result(0) == 0.1 for future in futures if future not in cancelled)


def test_the_initializer_fails():
    with skep.ProcessPoolExecutor(2, skep.get_context('fork'), children.bad_initializer, ('told',)) as executor:
        future = executor.submit(children.square, 1)
        with pytest.raises(BrokenProcessPool, match='told'):
            future.result(10)
        assert comes(lambda: executor._broken)
        with pytest.raises(BrokenProcessPool):
            executor.submit(children.square, 1)


def test_arguments():
    with pytest.raises(ValueError, match='max_workers must be greater than 0'):
        skep.ProcessPoolExecutor(0)
    with pytest.raises(TypeError):
        skep.ProcessPoolExecutor(1, initializer=1)
    with pytest.raises(ValueError, match='incompatible'):
        skep.ProcessPoolExecutor(1, skep.get_context('fork'), max_tasks_per_child=1)
    with skep.ProcessPoolExecutor(1, max_tasks_per_child=2) as executor:
        assert executor._mp_context.get_start_method() == 'spawn'
        assert len({executor.submit(children.pid_of, 1).result() for _ in range(6)}) == 3


@pytest.mark.parametrize('how', ['terminate_workers', 'kill_workers'])
def test_ending_the_workers(how):
    executor = skep.ProcessPoolExecutor(2, mp_context=skep.get_context('fork'))
    futures = [executor.submit(children.sleep, 60) for _ in range(5)]
    pids = list(executor._processes)
    getattr(executor, how)()
    assert all(isinstance(future.exception(5), BrokenProcessPool) for future in futures)
    assert not any(is_running(pid) for pid in pids)


def test_the_interpreter_ends_after_what_was_submitted(tmp_path):
    script = tmp_path / 'program.py'
    script.write_text('import skep, pool_children\n'
                      'if __name__ == "__main__":\n'
                      '    executor = skep.ProcessPoolExecutor(2, skep.get_context("spawn"))\n'
                      '    executor.submit(pool_children.sleep, 0.3).add_done_callback(lambda future: print("done", future.result(), flush=True))\n')
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=30, env=environment())
    assert (done.stdout, done.stderr) == ('done 0.3\n', '')


def test_a_callback_that_waits_is_told_not_to(executor):
    told = []

    def wait_for_another(future):
        another = executor.submit(children.sleep, 0.2)
        try:
            another.result()
        except RuntimeError as error:
            told.append(str(error))

    first = executor.submit(children.sleep, 0.1)
    first.add_done_callback(wait_for_another)
    first.result()
    assert comes(lambda: told) and 'callback' in told[0]


def test_asyncio_waits_for_it(executor):
    import asyncio

    async def main():
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(executor, children.square, x) for x in range(20)))

    assert asyncio.run(main()) == [x * x for x in range(20)]


@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_workers_are_started_when_they_are_needed(method):
    with skep.ProcessPoolExecutor(4, skep.get_context(method)) as executor:
        assert not executor._processes and executor._executor_manager_thread is None
        for _ in range(3):
            executor.submit(children.square, 3).result(30)
        assert len(executor._processes) == 1
        futures = [executor.submit(children.sleep, 0.3) for _ in range(10)]
        assert len(executor._processes) == 4
        os.kill(next(iter(executor._processes)), signal.SIGKILL)
        failed = [future for future in futures if future.exception(30)]
        assert len(failed) <= 1 and all(isinstance(future.exception(), skep.WorkerDied) for future in failed)
    assert executor._processes is None


def test_an_executor_that_nobody_has_ends_after_its_calls():
    executor = skep.ProcessPoolExecutor(2, skep.get_context('fork'))
    results, future = executor.map(children.square, range(20)), executor.submit(children.sleep, 0.1)
    workers, thread, queue = list(executor._processes.values()), executor._executor_manager_thread, executor._call_queue
    del executor
    thread.join(20)
    assert not thread.is_alive() and not any(worker.is_alive() for worker in workers)
    queue.join_thread()
    assert list(results) == [x * x for x in range(20)] and future.result(0) == 0.1


def test_lambdas_and_closures_go_by_cloudpickle(executor):
    pytest.importorskip('cloudpickle')
    step = 3
    table = {'add': lambda x: x + step}
    assert executor.submit(lambda x: x * step, 5).result(30) == 15
    assert list(executor.map(lambda x, y: x + y + step, range(5), range(5))) == [2 * x + 3 for x in range(5)]
    assert executor.submit(children.call, table['add'], 1).result(30) == 4
    assert executor.submit(lambda: (lambda x: x + step)).result(30)(1) == 4  # and back


def test_without_cloudpickle_a_lambda_says_what_would_help(executor, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cloudpickle', None)
    with pytest.raises(Exception, match='package cloudpickle'):
        executor.submit(lambda: 1).result(10)


def test_one_waits_for_futures_while_another_waits_for_results(executor):
    """The locks of futures and of those who take results are taken in one order."""
    for _ in range(10):
        futures = [executor.submit(children.square, x) for x in range(100)]
        done = []
        threads = [threading.Thread(target=lambda: done.append(len(concurrent.futures.wait(futures, 30).done))),
                   threading.Thread(target=lambda: done.append(len([future.result(30) for future in reversed(futures)]))),
                   threading.Thread(target=lambda: done.append(len(list(concurrent.futures.as_completed(futures, 30)))))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert done == [100] * 3


def test_a_future_is_told_apart_from_its_neighbours(executor):
    """They share a condition, not a state: one is cancelled, one fails, one is waited for with a time limit."""
    slow = executor.submit(children.sleep, 0.5)
    failing, good = executor.submit(children.fail, 1), executor.submit(children.square, 4)
    with pytest.raises(concurrent.futures.TimeoutError):
        slow.result(0.01)
    with pytest.raises(ValueError):
        failing.result(10)
    assert isinstance(failing.exception(), ValueError) and good.exception(10) is None and good.result() == 16
    assert not slow.done() and slow.result(10) == 0.5 and slow.done() and not slow.cancel()
    assert 'finished' in repr(good)
    seen = []
    good.add_done_callback(seen.append)  # done already: at once
    good.add_done_callback(lambda future: seen.append(2))
    assert seen == [good, 2]


def test_results_that_nobody_asks_for_do_not_pile_up():
    with skep.ProcessPoolExecutor(2, mp_context=skep.get_context('fork')) as executor:
        for number in range(20000):
            executor.submit(abs, number)
            if number % 1000 == 0:
                time.sleep(0.02)
        assert len(executor._crew._open) < 15000


class Callee:
    def call(self):
        pass


def test_a_call_that_is_done_keeps_nothing_alive_though_nobody_asks():
    with skep.ProcessPoolExecutor(1, mp_context=skep.get_context('fork')) as executor:
        callee = Callee()
        executor.submit(callee.call)
        gone = weakref.ref(callee)
        del callee
        assert gone() is None
