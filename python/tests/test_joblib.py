# SPDX-License-Identifier: Apache-2.0
"""skep.joblib_backend; skipped where joblib is not installed (Debian: python3-joblib)."""
import os

import pytest

from skep import WorkerDied

import pool_children as children

numpy = pytest.importorskip('numpy')


@pytest.fixture
def joblib():
    joblib = pytest.importorskip('joblib')
    from skep import joblib_backend
    joblib_backend.register()
    with joblib.parallel_backend('skep', n_jobs=2):
        yield joblib


def test_parallel(joblib):
    assert joblib.Parallel()(joblib.delayed(children.square)(x) for x in range(50)) == [x * x for x in range(50)]
    pids = joblib.Parallel()(joblib.delayed(children.pid_of)(x) for x in range(20))
    assert os.getpid() not in pids and 1 <= len(set(pids)) <= 2
    array = numpy.ones(1 << 20)
    assert joblib.Parallel()(joblib.delayed(children.total)(array) for _ in range(4)) == [float(1 << 20)] * 4


def test_one_pool_for_several_calls(joblib):
    with joblib.Parallel() as parallel:
        pids = {pid for _ in range(3) for pid in parallel(joblib.delayed(children.pid_of)(x) for x in range(8))}
    assert len(pids) <= 2


def test_errors_come_through(joblib):
    with pytest.raises(ValueError, match='no such thing'):
        joblib.Parallel()(joblib.delayed(children.fail)(x) for x in range(3))
    with pytest.raises(WorkerDied):
        joblib.Parallel()(joblib.delayed(children.die)('kill') for x in range(3))
