# SPDX-License-Identifier: Apache-2.0
"""No test may hang: after its time it fails with a traceback of all threads; a test that cannot be interrupted ends the run."""
import faulthandler
import os
import signal
import sys

import pytest

import skep

SECONDS = 30 * int(os.environ.get('CK_TIMEOUT_MULTIPLIER', '1'))
METHODS = ['fork', 'spawn', 'forkserver']


@pytest.fixture(autouse=True)
def time_limit():
    def out_of_time(signum, frame):
        faulthandler.dump_traceback(file=sys.__stderr__)
        pytest.fail(f'still running after {SECONDS} s')

    previous = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(SECONDS)
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)
    for child in skep.active_children():
        if 'PoolWorker' not in child.name:  # a pool sees to its own, and may serve several tests
            child.kill()
            child.join()


@pytest.fixture(params=METHODS)
def context(request):
    """A context of each start method."""
    return skep.get_context(request.param)


@pytest.fixture
def small_hive():
    """A hive of its own, which is sound at the end."""
    hive = skep.Hive.create(capacity=32 << 20)
    yield hive
    assert hive.verify()['problems'] == 0
    hive.close()


@pytest.fixture
def run(context):
    """Run a function in a child of each start method; the test fails if the child does."""
    started = []

    def start(target, *args):
        process = context.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()
            pytest.fail('the child did not end')
        assert process.exitcode == 0
