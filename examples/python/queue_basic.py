# SPDX-License-Identifier: Apache-2.0
"""Objects through a queue, to a child and back.

    python3 queue_basic.py [spawn|fork|forkserver]
"""
import sys

import skep as mp


def echo(there, back):
    back.put(there.get())


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'spawn')
    there, back = context.Queue(), context.Queue()
    child = context.Process(target=echo, args=(there, back))
    child.start()
    there.put([42, None, 'hello'])
    print(back.get())
    child.join()
    sys.exit(child.exitcode)
