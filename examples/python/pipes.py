# SPDX-License-Identifier: Apache-2.0
"""Pipes, duplex and one-way; each side closes the end that it does not use, so the last word is the end of file.

    python3 pipes.py [spawn|fork|forkserver]
"""
import os
import signal
import sys

import skep as mp


def answer(theirs, unused):
    if unused is not None:
        unused.close()
    for obj in iter(theirs.recv, 'enough'):
        theirs.send((obj, obj))
    theirs.close()


def report(writer, unused):
    if unused is not None:
        unused.close()
    writer.send_bytes(b'before the end')
    os.kill(os.getpid(), signal.SIGKILL)  # nothing is closed in order


def until_the_end(connection, receive):
    try:
        while True:
            print('got', receive())
    except EOFError:
        print('end of file')
    connection.close()


if __name__ == '__main__':
    method = sys.argv[1] if len(sys.argv) > 1 else 'spawn'
    context = mp.get_context(method)

    ours, theirs = context.Pipe()
    child = context.Process(target=answer, args=(theirs, ours if method == 'fork' else None))
    child.start()
    theirs.close()
    for obj in 42, None, 'hello', 'enough':
        ours.send(obj)
    until_the_end(ours, ours.recv)
    child.join()

    reader, writer = context.Pipe(duplex=False)
    child = context.Process(target=report, args=(writer, reader if method == 'fork' else None))
    child.start()
    writer.close()
    until_the_end(reader, reader.recv_bytes)
    child.join()
    print('killed by', signal.Signals(-child.exitcode).name)
