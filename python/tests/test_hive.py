# SPDX-License-Identifier: Apache-2.0
"""skep.hive: membership, names, and how children come to it."""
import os
import pickle
import tempfile
import uuid

import pytest

import skep

import children


@pytest.fixture
def name():
    return f'test-{os.getpid()}-{uuid.uuid4().hex[:8]}'


def test_figures_are_told(small_hive):
    assert small_hive.stat()['capacity_bytes'] == 32 << 20
    assert small_hive.stat()['members'] == 1
    assert small_hive.reap()['members'] == 0
    assert small_hive.verify()['problems'] == 0


def test_a_named_hive_and_its_queues_are_found_by_name(name):
    with skep.Hive.create(name, capacity=8 << 20) as hive:
        queue = hive.queue('orders', create=True, maxsize=5)
        assert ('orders', 'queue') in hive.names()
        with pytest.raises(FileExistsError):
            hive.queue('orders', create=True)
        with pytest.raises(FileExistsError):
            skep.Hive.create(name)
        with skep.Hive.open(name) as other:
            again = other.queue('orders')
            assert type(again) is skep.queues.Queue and again.maxsize == 5
            queue.put('x')
            assert again.get() == 'x'
            del again
        with pytest.raises(FileNotFoundError):
            hive.queue('nothing')
        hive.forget('orders')
        with pytest.raises(FileNotFoundError):
            hive.queue('orders')
        del queue
    del hive, other
    with pytest.raises(FileNotFoundError):
        skep.Hive.open(name)


def test_a_file_that_is_no_hive_is_refused():
    with tempfile.TemporaryFile() as file:
        file.write(b'x' * 10000)
        file.flush()
        with pytest.raises(skep.HiveError):
            skep.Hive.attach(file.fileno())


def test_a_closed_hive_refuses_but_its_queues_live_on():
    hive = skep.Hive.create(capacity=8 << 20)
    queue = hive.queue()
    hive.close()
    assert hive.closed
    for call in (hive.stat, hive.queue, lambda: hive.fd, lambda: pickle.dumps(hive)):
        with pytest.raises(ValueError):
            call()
    queue.put(1)
    assert queue.get() == 1


def test_a_child_is_a_member_with_its_parents_default_hive(context, run):
    queue = context.Queue()
    run(children.tell_identity, queue, queue)
    same_hive, same_queue, _ = queue.get()
    assert same_hive and same_queue


@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_a_child_has_one_descriptor_more_however_many_queues(method):
    context = skep.get_context(method)

    def descriptors(*more):
        queue = context.Queue()
        process = context.Process(target=children.put_all, args=(queue, more))
        process = context.Process(target=tell, args=(queue, *more))
        process.start()
        result = queue.get()
        process.join()
        return len(result)

    assert descriptors() == descriptors(*(context.Queue() for _ in range(20)))


def tell(queue, *more):
    children.tell_descriptors(queue)


def test_members_come_and_go(context, run):
    queue = context.Queue()
    for _ in range(3):
        run(children.put_all, queue, [1]).join()
        queue.get()
    skep.default_hive().reap()
    assert skep.default_hive().stat()['members'] == 1
    assert skep.default_hive().verify()['problems'] == 0
