# SPDX-License-Identifier: Apache-2.0
"""SharedMemoryManager: blocks of shared memory that go together."""
from multiprocessing import ProcessError

from .. import shared_memory

__all__ = ['SharedMemoryManager']


class SharedMemoryManager:
    """Blocks that go together: SharedMemory(size) and ShareableList(sequence) make them, shutdown() unlinks them all.

        with SharedMemoryManager() as manager:
            numbers = manager.ShareableList(range(2000))

    There is no server process, as the kernel keeps account of who uses a block: if the process of the manager is killed,
    the names go with the last that uses them.  So there is nothing to connect() to, and address and authkey say nothing.
    """

    def __init__(self, address=None, authkey=None, *, ctx=None, shutdown_timeout=1.0):
        self.address = address
        self._state = 'initial'
        self._blocks = []

    def start(self, initializer=None, initargs=()):
        """From here on blocks can be made.  ProcessError: it was started before."""
        if self._state != 'initial':
            raise ProcessError(f'this manager was {self._state} before')
        if initializer is not None:
            raise NotImplementedError('there is no process for an initializer to run in')
        self._state = 'started'

    def _check_started(self):
        if self._state != 'started':
            raise ValueError('the manager is not started, or has been shut down')

    def SharedMemory(self, size):
        """A new SharedMemory of that many bytes.  ValueError: not started."""
        self._check_started()
        block = shared_memory.SharedMemory(create=True, size=size)
        self._blocks.append(block._use)
        return block

    def ShareableList(self, sequence):
        """A new ShareableList of these values.  ValueError: not started."""
        self._check_started()
        made = shared_memory.ShareableList(sequence)
        self._blocks.append(made.shm._use)
        return made

    def shutdown(self):
        """Unlink all blocks of the manager that were not unlinked yet; who has one keeps it."""
        self._state = 'shut down'
        while self._blocks:
            use = self._blocks.pop()
            shared_memory._made.pop(id(use), None)
            try:
                use.unlink()
            except FileNotFoundError:
                pass  # by its user

    def join(self, timeout=None):
        """Nothing to wait for."""

    def connect(self):
        """NotImplementedError: there is no server."""
        raise NotImplementedError('a SharedMemoryManager of skep has no server; attach its blocks by name')

    def get_server(self):
        """NotImplementedError: there is no server."""
        raise NotImplementedError('a SharedMemoryManager of skep has no server; attach its blocks by name')

    def __enter__(self):
        if self._state == 'initial':
            self.start()
        self._check_started()
        return self

    def __exit__(self, *exc_info):
        self.shutdown()

    def __repr__(self):
        return f'<{type(self).__name__} {self._state} with {len(self._blocks)} blocks>'
