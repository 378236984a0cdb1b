# SPDX-License-Identifier: Apache-2.0
"""Values and arrays of C types that a child changes and the parent prints.

    python3 values.py [fork|spawn|forkserver]
"""
import ctypes
import sys

import skep as mp


class Point(ctypes.Structure):
    _fields_ = [('x', ctypes.c_double), ('y', ctypes.c_double)]


def change(number, array, zeros, of_every_type, point, points):
    number.value = 3.1415927
    for i in range(len(array)):
        array[i] = -array[i]
    for i in range(len(zeros)):
        zeros[i] = 2 ** i
    for value in of_every_type:
        value.value = b'z' if isinstance(value.value, bytes) else 'ü' if isinstance(value.value, str) else 100
    point.x, point.y = 1.5, 2.5
    for item in points:
        item.x, item.y = item.y, item.x


if __name__ == '__main__':
    context = mp.get_context(sys.argv[1] if len(sys.argv) > 1 else 'fork')
    number, array, zeros = context.Value('d', 0.0), context.Array('i', range(10)), context.Array('h', 5)
    of_every_type = [context.Value(code, lock=False) for code in 'cbBuhHiIlLqQfd']
    point = context.Value(Point)
    points = context.Array(Point, [(1, 2), (3, 4)], lock=False)
    child = context.Process(target=change, args=(number, array, zeros, of_every_type, point, points))
    child.start()
    child.join()
    print(number.value)
    print(array[:])
    print(zeros[:])
    print(*(value.value for value in of_every_type))
    print((point.x, point.y), [(item.x, item.y) for item in points])
    print(sum(context.Array('i', [1, 2, 3])[:]))
    sys.exit(child.exitcode)
