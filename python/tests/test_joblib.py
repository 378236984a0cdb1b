# SPDX-License-Identifier: Apache-2.0
"""skep.joblib_backend; skipped where joblib is not installed (Debian: python3-joblib)."""
import os

import pytest

joblib = pytest.importorskip('joblib')
numpy = pytest.importorskip('numpy')

from skep import WorkerDied, joblib_backend  # noqa: E402

import pool_children as children  # noqa: E402


@pytest.fixture(autouse=True)
def backend():
    joblib_backend.register()
    with joblib.parallel_backend('skep', n_jobs=2):
        yield


def test_parallel():
    assert joblib.Parallel()(joblib.delayed(children.square)(x) for x in range(50)) == [x * x for x in range(50)]
    pids = joblib.Parallel()(joblib.delayed(children.pid_of)(x) for x in range(20))
    assert os.getpid() not in pids and 1 <= len(set(pids)) <= 2
    array = numpy.ones(1 << 20)
    assert joblib.Parallel()(joblib.delayed(children.total)(array) for _ in range(4)) == [float(1 << 20)] * 4


def test_one_pool_for_several_calls():
    with joblib.Parallel() as parallel:
        pids = {pid for _ in range(3) for pid in parallel(joblib.delayed(children.pid_of)(x) for x in range(8))}
    assert len(pids) <= 2


def test_errors_come_through():
    with pytest.raises(ValueError, match='no such thing'):
        joblib.Parallel()(joblib.delayed(children.fail)(x) for x in range(3))
    with pytest.raises(WorkerDied):
        joblib.Parallel()(joblib.delayed(children.die)('kill') for x in range(3))
