# SPDX-License-Identifier: Apache-2.0
"""What other clients of a served hive do in test_remote.py: python remote_children.py FUNCTION ADDRESS KEY-FILE"""
import sys
import time

import skep


class Point:
    """Anything that pickle can."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)

    def __hash__(self):
        return hash((self.x, self.y))


def hold(hive):
    """Take everything that can be held, say so, and wait for the end."""
    held = [hive.lock('lock'), hive.rlock('rlock'), hive.condition('condition'), hive.value('value'), hive.semaphore('semaphore')]
    for thing in held:
        thing.acquire()
    print('held', flush=True)
    time.sleep(60)


def answer(hive):
    """Read and write what the other one looks at."""
    dict_, list_ = hive.dict('dict'), hive.list('list')
    dict_['seen'] = [dict_[Point(1, 2)], list_[0]]
    list_.append(Point(5, 6))
    hive.event('done').set()


if __name__ == '__main__':
    with open(sys.argv[3], 'rb') as file:
        key = file.read()
    sys.modules['remote_children'] = sys.modules['__main__']
    Point.__module__ = 'remote_children'
    with skep.connect(sys.argv[2], key) as connected:
        globals()[sys.argv[1]](connected)
