# SPDX-License-Identifier: Apache-2.0
"""skep.context and the names of the package."""
import importlib
import multiprocessing
import subprocess
import sys
import os

import pytest

import skep

import children


def test_every_public_name_of_multiprocessing_is_there():
    assert set(multiprocessing.__all__) <= set(skep.__all__)
    for name in skep.__all__:
        assert hasattr(skep, name)
    for name in multiprocessing.__all__:
        assert hasattr(skep.get_context('spawn'), name) or name in ('get_all_start_methods',)


def test_submodules_are_found():
    assert skep.queues.Queue.__module__ == 'skep.queues'
    assert skep.connection.Pipe.__module__ == 'skep.connection'
    importlib.import_module('skep.process')
    importlib.import_module('skep.util')
    assert skep.util is multiprocessing.util and skep.process is multiprocessing.process
    assert skep.pool.Pool
    for name in ('pool', 'managers', 'dummy', 'dummy.connection', 'heap', 'spawn', 'forkserver', 'resource_sharer', 'resource_tracker'):
        assert importlib.import_module(f'skep.{name}') is not None
    dummy_connection = importlib.import_module('skep.dummy.connection')
    assert dummy_connection is importlib.import_module('multiprocessing.dummy.connection')  # one module, not a second copy of its file
    assert multiprocessing.heap.__spec__.name == 'multiprocessing.heap'
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module('skep.nonsense')
    with pytest.raises(AttributeError):
        skep.nonsense


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_types_are_named_after_the_method(method):
    context = skep.get_context(method)
    assert type(context).__name__.lower() == method + 'context'
    assert context.Process.__name__.lower() == method + 'process'
    assert isinstance(context, multiprocessing.context.BaseContext)
    assert context.get_context() is context and context.get_start_method() == method
    assert context.get_context('spawn') is skep.get_context('spawn')
    with pytest.raises(ValueError):
        context.set_start_method('fork')


def test_unknown_methods_are_refused():
    with pytest.raises(ValueError, match='cannot find context'):
        skep.get_context('teleport')


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_the_start_method_is_set_once_and_inherited(method, tmp_path):
    script = tmp_path / 'program.py'
    script.write_text(
        'import skep as mp, multiprocessing\n'
        'def child(queue):\n'
        '    queue.put((mp.get_start_method(), mp.current_process().name))\n'
        'if __name__ == "__main__":\n'
        f'    mp.set_start_method("{method}")\n'
        '    try:\n'
        '        mp.set_start_method("fork")\n'
        '    except RuntimeError as error:\n'
        '        print(error)\n'
        '    queue = mp.Queue()\n'
        '    process = mp.Process(target=child, args=(queue,), name="worker")\n'
        '    process.start()\n'
        '    print(*queue.get())\n'
        '    process.join()\n'
        '    print(process.exitcode)\n')
    output = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True,
                            env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    assert output.stdout.splitlines() == ['context has already been set', f'{method} worker', '0']
    assert output.stderr == ''


def test_the_standard_librarys_objects_take_the_context(context, run):
    lock, event, value = context.Lock(), context.Event(), context.Value('i', 3)
    with lock:
        event.set()
    assert event.is_set() and value.value == 3
    left, right = context.Pipe()
    run(children.put_through, _Sender(right), 'through a pipe')
    assert left.recv() == 'through a pipe'


class _Sender:
    def __init__(self, connection):
        self.connection = connection

    def put(self, item):
        self.connection.send(item)


def test_a_child_has_the_start_method_of_its_context(context, run):
    queue = context.Queue()
    run(children.tell_identity, queue, None)
    assert queue.get()[2] == context.get_start_method()


def test_an_executor_takes_the_context(context):
    from concurrent.futures import ProcessPoolExecutor
    queue = context.Queue()
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(children.put_through, [queue] * 4, range(4))) == [0, 1, 2, 3]
    assert sorted(queue.get_many(4) if queue.qsize() == 4 else []) == [0, 1, 2, 3]
