# SPDX-License-Identifier: Apache-2.0
"""The hive of another process, over a connection: `skep serve` in one, skep.connect() in the other."""
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

import skep
from queue import Empty

numpy = pytest.importorskip('numpy')
COMMAND = Path(os.environ.get('SKEP_BUILD', 'build')) / 'bin/skep'
KEY = b'a key of sixteen'


@pytest.fixture
def served(tmp_path):
    key = tmp_path / 'key'
    key.write_bytes(KEY)
    key.chmod(0o600)
    with subprocess.Popen([COMMAND, 'serve', '--listen', 'tcp://127.0.0.1:0', '--authkey-file', key], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as server:
        yield server.stdout.readline().strip()
        server.terminate()
        assert server.wait(10) == 0


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
