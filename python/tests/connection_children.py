# SPDX-License-Identifier: Apache-2.0
"""What the children of test_connection.py do; in a module of its own, so that spawned children can import it."""
import os
import signal
import time


class Deadly:
    """Kills the process that unpickles it."""

    def __reduce__(self):
        return os.kill, (_Self(), signal.SIGKILL)


class _Self:
    def __reduce__(self):
        return os.getpid, ()


def nothing(*unused):
    pass


def echo_until_none(connection):
    while (obj := connection.recv()) is not None:
        connection.send(obj)
    connection.close()


def send_and_kill_self(connection, obj):
    connection.send(obj)
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_long(connection):
    connection.send('ready')
    time.sleep(100)


def hold_until_told(come, *ends):
    assert come.recv() == 'close'
    for end in ends:
        end.close()
    assert come.recv() == 'end'


def talk_through_what_comes(connection):
    end = connection.recv()
    end.send('from the child')
    end.send(end.recv().upper())
    end.close()


def talk_through_socket(connection):
    with connection.recv() as received:
        received.sendall(b'from the child')


def send_back(connection, obj):
    connection.send(obj)
    return 'done'


def send_numbers(connection, who, count):
    for number in range(count):
        connection.send((who, number))
    connection.close()
