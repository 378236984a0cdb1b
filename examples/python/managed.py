# SPDX-License-Identifier: Apache-2.0
"""A dict and a list of a manager, changed by a child; then what several processes do to one dict at once.

    MP=multiprocessing python3 managed.py [spawn|fork|forkserver]
"""
import importlib
import os
import sys

mp = importlib.import_module(os.environ.get('MP', 'skep'))


def change(numbers_of, numbers):
    numbers_of[1] = '1'
    numbers_of['2'] = 2
    numbers_of[0.25] = None
    numbers.reverse()


def count(counts, lock, words):
    for word in words.split():
        if hasattr(counts, 'add'):  # skep: in one step
            counts.setdefault(word, 0)
            counts.add(word, 1)
        else:
            with lock:
                counts[word] = counts.get(word, 0) + 1


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    with context.Manager() as manager:
        numbers_of, numbers = manager.dict(), manager.list(range(10))
        process = context.Process(target=change, args=(numbers_of, numbers))
        process.start()
        process.join()
        print(numbers_of)
        print(numbers)

        counts, lock = manager.dict(), manager.Lock()
        processes = [context.Process(target=count, args=(counts, lock, 'the bee the hive the honey ' * 20)) for _ in range(4)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        print(sorted(counts.items()))

        space, event, barrier = manager.Namespace(), manager.Event(), manager.Barrier(1)
        space.nested = manager.list([manager.dict(a=1)])
        space.nested[0]['a'] += 1
        event.set()
        print(space.nested[0]['a'], event.wait(), barrier.wait(), manager.Value('d', 0.5).value, manager.Array('i', [1, 2])[1])
