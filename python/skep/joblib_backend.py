# SPDX-License-Identifier: Apache-2.0
"""joblib over skep: after `skep.joblib_backend.register()`, `with joblib.parallel_backend("skep"):` runs Parallel() in a skep pool.

Large arrays go through the hive: no memory maps in files, no limit of max_nbytes.  Functions that pickle refuses go by
cloudpickle, which joblib brings along.
"""
from joblib.parallel import ParallelBackendBase, register_parallel_backend

from .context import _default_context
from .pool import Pool

__all__ = ['SkepBackend', 'register']


class SkepBackend(ParallelBackendBase):
    """A pool for each Parallel(), or for the with-block of one; n_jobs as joblib counts: -1 all processors."""

    supports_timeout = True
    uses_threads = False
    supports_sharedmem = False

    def __init__(self, nesting_level=None, inner_max_num_threads=None, method=None, **pool_options):
        super().__init__(nesting_level=nesting_level, inner_max_num_threads=inner_max_num_threads)
        self._method, self._pool_options, self._pool = method, pool_options, None

    def effective_n_jobs(self, n_jobs):
        from os import cpu_count
        if n_jobs == 0:
            raise ValueError('n_jobs == 0 in Parallel has no meaning')
        if n_jobs is None:
            return 1
        return n_jobs if n_jobs > 0 else max((cpu_count() or 1) + 1 + n_jobs, 1)

    def configure(self, n_jobs=1, parallel=None, prefer=None, require=None, **unused):
        n_jobs = self.effective_n_jobs(n_jobs)
        self.parallel = parallel
        self._pool = Pool(n_jobs, context=_default_context.get_context(self._method), **self._pool_options)
        return n_jobs

    def apply_async(self, func, callback=None):
        return self._pool.apply_async(func, (), {}, callback, callback)

    submit = apply_async  # its name from joblib 1.4 on

    def get_nested_backend(self):
        from joblib.parallel import SequentialBackend
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def terminate(self):
        if self._pool is not None:
            self._pool.close()
            self._pool.terminate()
            self._pool.join()
            self._pool = None

    def abort_everything(self, ensure_ready=True):
        self.terminate()
        if ensure_ready:
            self.configure(n_jobs=self.parallel.n_jobs, parallel=self.parallel)


def register(name='skep', make_default=False):
    """Make the backend known to joblib."""
    register_parallel_backend(name, SkepBackend, make_default=make_default)
