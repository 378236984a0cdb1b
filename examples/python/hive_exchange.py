# SPDX-License-Identifier: Apache-2.0
"""The Python half of a C and a Python program that exchange bytes and an array through a named hive.

The C half, examples/c/hive_exchange.c, makes the hive and its two queues; start that one.

    python3 hive_exchange.py NAME
"""
import sys

import skep as mp

with mp.Hive.open(sys.argv[1]) as hive:
    to_python, to_c = hive.queue('to-python'), hive.queue('to-c')

    greeting = to_python.get()
    numbers = to_python.get()  # a numpy.ndarray in the memory that the C program filled
    print(greeting, numbers.dtype, numbers.shape)
    if greeting != b'hello from C' or numbers.dtype != 'float64' or numbers.shape != (1000,):
        sys.exit('not what the C program should have sent')

    numbers *= -1  # in place: the C program sees it
    to_c.put(b'hello from Python')
    to_c.put(numbers)
