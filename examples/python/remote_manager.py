# SPDX-License-Identifier: Apache-2.0
"""Tasks and results in queues of a manager that others reach over the network: one serves, some work, one collects.

    remote_manager.py serve ADDRESS     puts two names into the tasks, prints the address, serves until stdin ends
    remote_manager.py work ADDRESS      answers the tasks
    remote_manager.py collect ADDRESS   prints the results

ADDRESS: HOST:PORT, [IPV6]:PORT (PORT 0: any), /PATH, or @NAME.  MP=multiprocessing: with the standard library; each of the three may
be either.  KEY: the authkey, z by default.  TLS=1: nobody without encryption (skep only).
"""
import importlib
import os
import queue
import signal
import sys
import threading

mp = importlib.import_module(os.environ.get('MP', 'skep'))
managers = importlib.import_module(mp.__name__ + '.managers')

tasks, results = queue.Queue(), queue.Queue()
AGES = {'Ada': 36, 'Alan': 41}


def get_tasks():
    return tasks


def get_results():
    return results


class Server(managers.BaseManager):
    """What the server's process makes."""


class Client(managers.BaseManager):
    """The same names, without what makes them."""


Server.register('get_tasks', callable=get_tasks)
Server.register('get_results', callable=get_results)
Client.register('get_tasks')
Client.register('get_results')


def address_of(text):
    if text.startswith('@'):
        return '\0' + text[1:]
    if text.startswith('/'):
        return text
    host, _, port = text.rpartition(':')
    return host.strip('[]'), int(port)


def text_of(address):
    if isinstance(address, tuple):
        return f'[{address[0]}]:{address[1]}' if ':' in address[0] else f'{address[0]}:{address[1]}'
    return address


def manager(cls, address):
    terms = {'tls': True} if os.environ.get('TLS') else {}
    return cls(address_of(address), os.environ.get('KEY', 'z').encode(), **terms)


def end_with_stdin():
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


def serve(address):
    signal.signal(signal.SIGTERM, lambda *unused: sys.exit())
    server = manager(Server, address).get_server()
    for name in AGES:
        tasks.put(name)
    print(address if address.startswith('@') else text_of(server.address), flush=True)
    threading.Thread(target=end_with_stdin, daemon=True).start()
    server.serve_forever()


def work(address):
    client = manager(Client, address)
    client.connect()
    todo, done = client.get_tasks(), client.get_results()
    while True:
        try:
            name = todo.get(timeout=0.2)
        except queue.Empty:
            break
        done.put({'name': name, 'age': AGES[name]})


def collect(address):
    client = manager(Client, address)
    client.connect()
    done = client.get_results()
    for _ in AGES:
        print(done.get(timeout=10))


if __name__ == '__main__':
    try:
        {'serve': serve, 'work': work, 'collect': collect}[sys.argv[1]](sys.argv[2])
    except mp.AuthenticationError as error:
        sys.exit(f'AuthenticationError: {error}')
