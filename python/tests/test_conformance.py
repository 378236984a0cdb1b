# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests of what skep has itself, as far as they are installed; `make conformance` runs all."""
# ctest: timeout=180
import subprocess
import sys
from pathlib import Path

import pytest

CLASSES = ('^WithProcessesTest(Lock|Semaphore|Condition|Event|Barrier|Value|Array|SharedCTypes|Queue|Process|SubclassingProcess|'
           'Connection|Listener|ListenerClient|Poll|PicklingConnections|SharedMemory)$|'
           '^WithManagerTest(MyManager|RemoteManager|ManagerRestart|Containers|Lock|Semaphore|Event|Queue)$|'
           '^Test(SimpleQueue|StartMethod|Wait|SyncManagerTypes)$')
TOOL = Path(__file__).resolve().parents[2] / 'tools/conformance.py'


@pytest.fixture(autouse=True)
def time_limit():
    """The tool has limits of its own, a longer one for all together."""


def test_they_pass_under_fork():
    done = subprocess.run([sys.executable, TOOL, '--suites', 'multiprocessing', '--methods', 'fork', '--only', CLASSES], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert ' 0 failed' in done.stdout.splitlines()[-1].replace(',', ' ') and 'WithProcessesTestBarrier' in done.stdout


def test_those_of_process_pools_pass_under_fork():
    classes = 'Fork(ExecutorDeadlock|Initializer|FailingInitializer|AsCompleted|ProcessPoolShutdown)Test'
    done = subprocess.run([sys.executable, TOOL, '--suites', 'futures', '--only', classes], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout + done.stderr
