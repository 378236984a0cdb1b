#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests of multiprocessing and of the process pools of concurrent.futures, as installed with Python, against skep.

conformance.py [--suites multiprocessing,futures] [--methods fork,spawn,forkserver] [--only REGEX] [--jobs N] [--tests FOLDER] [PYTHON ...]

Each class runs in a process of its own, under each start method; a test has a time limit.  Nothing of CPython's is copied: its
test modules are loaded as they lie there, with an import that gives them skep wherever they ask for multiprocessing, and skep's
ProcessPoolExecutor wherever they ask for that of concurrent.futures.  For a Python without the modules (Debian: package
libpython3.X-testsuite) those of another installation of the same version are taken, or those in FOLDER/test.

For a Python that the extension was not built for it is compiled anew, over the library of the build; one that has no headers is
skipped and said so.  Exit status 1: a test failed that is not expected to, or one that is expected to fail passed.
"""
import argparse
import builtins
import concurrent.futures
import glob
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = Path(os.environ.get("SKEP_BUILD", ROOT / "build")).resolve()
METHODS = ["fork", "spawn", "forkserver"]
SUITES = {"multiprocessing": "_test_multiprocessing", "futures": "test_concurrent_futures"}  # their modules of `test`
TEST_SECONDS = 60
CLASS_SECONDS = 400

# class.test -> why it cannot pass; docs/conformance.md says it at length.
EXPECTED_FAILURES = {
    "WithProcessesTestQueue.test_queue_feeder_donot_stop_onexc": "put() of what cannot be pickled raises",
    "WithProcessesTestQueue.test_queue_feeder_on_queue_feeder_error": "put() of what cannot be pickled raises",
    "WithProcessesTestConnection.test_missing_fd_transfer": "writes raw bytes to the descriptor of a Connection",
    "WithProcessesTestSharedMemory.test_shared_memory_SharedMemoryServer_ignores_sigint": "a SharedMemoryManager has no server process",
    "WithProcessesTestSharedMemory.test_shared_memory_name_with_embedded_null": "sets a private attribute before unlink()",
    "TestResourceTracker.test_resource_tracker_sigkill": "there is no tracker that a Semaphore would start anew",
    "TestStartMethod.test_mixed_startmethod": "a queue of one context may go to a process of another",
    "WithManagerTestContainers.test_dict_iter": "an iteration goes through the keys of one instant",
    "_TestImportStar.test_import": "wants the files of the package multiprocessing",
}
# These pass or fail by the clock, or by what is installed.
EXPECTED_AT_TIMES = {
    "ProcessPoolShutdownTest.test_cancel_futures": "wants a call that can no longer be cancelled: workers may not have started yet",
    "WithProcessesTestPoolWorkerErrors.test_unpickleable_result": "with cloudpickle installed a lambda can be a result",
    "TestIgnoreEINTR.test_ignore": "send_bytes() of much does not wait for a receiver: the child may have ended when it is signalled",
    "WithThreadsTestPool.test_terminate": "the standard library's ThreadPool, whose thread may have begun the task that sleeps for five minutes",
}
# The same as EXPECTED_FAILURES for test modules that lie where the Python does not look: its own children do not find them, and may be older than they.
EXPECTED_WITH_BORROWED_TESTS = {
    "ProcessPoolShutdownTest.test_interpreter_shutdown": "starts Python with -I",
    "TestFlags.test_flags": "starts Python with -E -S",
    "TestStartMethod.test_preload_resources": "starts Python with -I",
    "MiscTestCase.test_spawn_sys_executable_none_allows_import": "imports the standard library's, which could not do it before 3.11.5",
}

# The same for the tests of concurrent.futures, under every start method.
EXPECTED_OF_FUTURES = {
    "ProcessPoolExecutorTest.test_killed_child": "a killed worker takes its own task with it, not the executor",
    "ExecutorDeadlockTest.test_error_at_task_unpickle": "a task that cannot be loaded fails, not the executor",
    "ExecutorDeadlockTest.test_error_during_result_unpickle_in_result_handler": "a result that cannot be loaded fails, not the executor",
    "ExecutorDeadlockTest.test_exit_during_result_unpickle_in_result_handler": "a result that cannot be loaded fails, not the executor",
}

# --- in the process of one class --------------------------------------------------------------------------------------------

def load(method):
    """The test module with skep in the place of multiprocessing; its classes become this module's, so that children find them."""
    import skep

    def import_skep(name, globals=None, locals=None, fromlist=(), level=0):
        if level == 0 and name.partition(".")[0] == "multiprocessing":
            importlib.import_module(name)  # pickle looks into sys.modules afterwards
            found = importlib.import_module("skep" + name[len("multiprocessing"):])
            return found if fromlist else skep
        return builtins.__import__(name, globals, locals, fromlist, level)

    spec = importlib.util.find_spec("test._test_multiprocessing")
    module = importlib.util.module_from_spec(spec)
    module.__builtins__ = {**vars(builtins), "__import__": import_skep}
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    assert module.multiprocessing is skep
    sys.modules["cloudpickle"] = None  # with it a pool can send the lambda that a test takes for unpicklable
    import multiprocessing.managers
    multiprocessing.shared_memory = sys.modules["multiprocessing.shared_memory"] = skep.shared_memory  # tests patch a function of it by name
    module.install_tests_in_module_dict(globals(), method)
    return module


class WithOurExecutor(importlib.abc.MetaPathFinder):
    """Loads the modules of test.test_concurrent_futures with an import that gives them skep."""

    PREFIX = "test.test_concurrent_futures"

    def __init__(self):
        import concurrent.futures
        import skep
        vars(concurrent.futures).setdefault("process", importlib.import_module("concurrent.futures.process"))
        self.futures = types.ModuleType("concurrent.futures")
        self.futures.__getattr__ = lambda name: getattr(concurrent.futures, name)
        self.futures.ProcessPoolExecutor = skep.ProcessPoolExecutor

    def import_ours(self, name, globals=None, locals=None, fromlist=(), level=0):
        module = builtins.__import__(name, globals, locals, fromlist, level)
        if level == 0 and name == "concurrent" and "futures" in (fromlist or ()):
            return types.SimpleNamespace(futures=self.futures)
        if level == 0 and name == "concurrent.futures" and fromlist:
            return self.futures
        if level == 0 and name == "multiprocessing":
            return importlib.import_module("skep")
        return module

    def find_spec(self, name, path=None, target=None):
        if not name.startswith(self.PREFIX):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            loader, importing = spec.loader, self.import_ours

            class Loader(type(loader)):
                def exec_module(self, module):
                    module.__builtins__ = {**vars(builtins), "__import__": importing}
                    super().exec_module(module)
            loader.__class__ = Loader
        return spec


def load_futures():
    """Its modules from here on with skep; the classes of process pools, by module and name."""
    sys.meta_path.insert(0, WithOurExecutor())


def classes_of_futures():
    import pkgutil
    import unittest
    package = importlib.import_module(WithOurExecutor.PREFIX)
    names = [f"{package.__name__}.{found.name}" for found in pkgutil.iter_modules(getattr(package, "__path__", [])) if found.name.startswith("test_")]
    for module in [importlib.import_module(name) for name in names] or [package]:
        for name, value in sorted(vars(module).items()):
            if isinstance(value, type) and issubclass(value, unittest.TestCase) and name.startswith("ProcessPool"):
                yield f"{module.__name__}:{name}", value


def run_class(name):
    """Run it and print one JSON line for each test."""
    import faulthandler
    import signal
    import unittest

    class Result(unittest.TestResult):
        def startTest(self, test):
            super().startTest(test)
            self.outcome = "passed"
            seconds = 5 if test.id().partition(".")[2] in EXPECTED_FAILURES else TEST_SECONDS
            signal.alarm(seconds)
            faulthandler.dump_traceback_later(seconds + 10, exit=True)

        def stopTest(self, test):
            signal.alarm(0)
            faulthandler.cancel_dump_traceback_later()
            super().stopTest(test)
            print(json.dumps({"test": test.id().rpartition(".")[2], "outcome": self.outcome}), flush=True)

        def fail(self, test, error):
            self.outcome = "failed"
            print(self._exc_info_to_string(error, test), file=sys.stderr, flush=True)
            if not isinstance(test, unittest.TestCase):  # setUpClass and its like
                print(json.dumps({"test": test.id(), "outcome": self.outcome}), flush=True)

        addError = addFailure = fail

        def addSubTest(self, test, subtest, error):
            if error:
                self.fail(test, error)

        def addSkip(self, test, reason):
            self.outcome = "skipped"

    def out_of_time(signum, frame):
        raise TimeoutError(f"still running after {TEST_SECONDS} s")

    signal.signal(signal.SIGALRM, out_of_time)
    case = getattr(importlib.import_module(name.partition(":")[0]), name.partition(":")[2]) if ":" in name else globals()[name]
    suite = unittest.TestSuite(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    suite.run(Result())


def list_classes():
    import unittest
    if os.environ["SKEP_CONFORMANCE_METHOD"] == "futures":
        return print(json.dumps([name for name, _ in classes_of_futures()]))
    print(json.dumps(sorted(name for name, value in globals().items() if isinstance(value, type) and issubclass(value, unittest.TestCase))))


# --- the parent -------------------------------------------------------------------------------------------------------------

package_folders = {}  # of each interpreter: where skep is for it


def build_for(python, folder):
    """skep for a Python of another version, in the folder. @return why not, or None"""
    probe = "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"
    include, suffix = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    if not os.path.exists(f"{include}/Python.h"):
        return f"{include} has no Python.h to compile the extension with"
    package = Path(folder, "skep")
    package.mkdir()
    for path in (ROOT / "python/skep").iterdir():
        if path.suffix == ".py" or path.is_dir() and path.name != "__pycache__":
            (package / path.name).symlink_to(path)
    compiled = subprocess.run(["cc", "-shared", "-O1", "-fPIC", "-std=gnu11", "-D_GNU_SOURCE", "-pthread", f"-I{ROOT}/include", f"-I{include}",
                               *map(str, (ROOT / "python/ext").glob("*.c")), "-o", f"{package}/_core{suffix}", f"-L{BUILD}/lib", "-lskep",
                               f"-Wl,-rpath,{BUILD}/lib"], capture_output=True, text=True)
    package_folders[python] = folder
    return compiled.stderr.strip() or None


def environment(python, test_folder, method):
    path = [str(package_folders.get(python, BUILD / "python"))] + ([test_folder] if test_folder else [])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1", "SKEP_CONFORMANCE_METHOD": method}


def test_folder_for(python, module, folder, given):
    """Where `test` is to be found beside what Python finds itself: "" nothing needed, None nowhere."""
    probe = f"import sys, importlib.util as u; print('%d.%d' % sys.version_info[:2], u.find_spec('test') and u.find_spec('test.{module}') and 1)"
    version, found = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=True).stdout.split()
    if found != "None":
        return ""
    for pattern in ([os.path.join(given, "test")] if given else []) + [f"/usr/lib/python{version}/test", f"/usr/local/lib/python{version}/test",
                    os.path.expanduser(f"~/.pyenv/versions/{version}.*/lib/python{version}/test")]:
        for candidate in sorted(glob.glob(pattern)):
            if glob.glob(os.path.join(candidate, module + "*")):
                os.symlink(candidate, os.path.join(folder, "test"))
                return folder
    return None


def run_in_python(python, test_folder, method, name):
    """[(test, outcome)], and what it wrote to stderr."""
    command = [python, "-W", "ignore", str(Path(__file__).resolve()), "--class", name]
    process = subprocess.Popen(command, env=environment(python, test_folder, method), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               errors="replace", start_new_session=True)
    try:
        output, errors = process.communicate(timeout=CLASS_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        output, errors = process.communicate()
        errors += f"\n{name}: still running after {CLASS_SECONDS} s"
    results = [json.loads(line[line.index('{"test"'):]) for line in output.splitlines() if '{"test"' in line]
    outcomes = [(result["test"], result["outcome"]) for result in results]
    if process.returncode:
        outcomes.append(("(the process itself)", "failed"))
    return outcomes, errors


def judge(name, outcomes, expected_failures):
    """Counts by outcome, and the names of the tests that went against what is expected."""
    counts, wrong = {"passed": 0, "failed": 0, "skipped": 0, "expected": 0}, []
    name = re.sub("^.*:ProcessPool(Forkserver|Fork|Spawn)", "", name)  # what the classes of futures have in common
    for test, outcome in outcomes:
        expected = f"{name}.{test}" in expected_failures
        if outcome == "failed" and (expected or f"{name}.{test}" in EXPECTED_AT_TIMES):
            outcome = "expected"
        elif outcome == "failed" or (expected and outcome == "passed"):
            wrong.append(test + (" (passed, but stands in EXPECTED_FAILURES)" if outcome == "passed" else ""))
        counts[outcome] += 1
    return counts, wrong


def check_python(python, options, folder):
    """Run all that was asked for under one Python. @return whether everything that must pass did, or None: skipped"""
    version = subprocess.run([python, "-c", "import sys; print(sys.version.split()[0])"], capture_output=True, text=True).stdout.strip()
    if tuple(map(int, version.split(".")[:2])) < (3, 9):
        print(f"Python {version} ({python}): skipped, skep is for 3.9 and later")
        return None

    def import_error():
        done = subprocess.run([python, "-c", "import skep"], env=environment(python, "", ""), capture_output=True, text=True)
        return done.stderr.strip().splitlines()[-1] if done.returncode else None

    reason = import_error()
    if reason and "_core" in reason:
        os.mkdir(os.path.join(folder, "package"))
        reason = build_for(python, os.path.join(folder, "package")) or import_error()
        if reason and "Python.h" not in reason:
            print(f"Python {version} ({python}): {reason}")
            return False
    if reason:
        print(f"Python {version} ({python}): skipped, {reason}")
        return None
    verdicts = [check_suite(python, version, suite, options, os.path.join(folder, suite)) for suite in options.suites.split(",")]
    return False if False in verdicts else True if True in verdicts else None


def check_suite(python, version, suite, options, folder):
    """Run one of SUITES. @return as check_python()"""
    os.mkdir(folder)
    methods = options.methods.split(",") if suite == "multiprocessing" else ["futures"]
    test_folder = test_folder_for(python, SUITES[suite], folder, options.tests)
    if test_folder is None:
        print(f"Python {version} ({python}): {suite} skipped, test.{SUITES[suite]} is not installed for this version")
        return None
    print(f"Python {version} ({python}), {suite}, tests of {os.readlink(os.path.join(folder, 'test')) if test_folder else 'its own'}")
    listing = subprocess.run([python, str(Path(__file__).resolve()), "--list"], env=environment(python, test_folder, methods[0]),
                             capture_output=True, text=True)
    if listing.returncode:
        print(listing.stderr)
        return False
    names = [name for name in json.loads(listing.stdout) if re.search(options.only, name)]
    jobs = [(name, method) for name in names for method in methods]
    expected_failures = {**EXPECTED_FAILURES, **EXPECTED_OF_FUTURES, **(EXPECTED_WITH_BORROWED_TESTS if test_folder else {})}
    fine = bool(jobs)
    totals = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as executor:
        running = [executor.submit(run_in_python, python, test_folder, method, name) for name, method in jobs]
        for (name, method), future in zip(jobs, running):
            outcomes, errors = future.result()
            counts, wrong = judge(name, outcomes, expected_failures)
            fine &= not wrong and bool(outcomes)
            totals = {key: totals.get(key, 0) + counts[key] for key in counts}
            figures = "  ".join(f"{value:3} {key}" for key, value in counts.items())
            print(f"  {method:10} {name.rpartition(':')[2]:52} {figures}")
            for test in wrong:
                print(f"             {test}")
            if wrong:
                print(errors, file=sys.stderr)
    print("  " + ", ".join(f"{value} {key}" for key, value in totals.items()))
    return fine


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--suites", default=",".join(SUITES))
    parser.add_argument("--tests", help="a folder in which `test` lies, if it is installed nowhere")
    parser.add_argument("--only", default="", help="classes whose name contains this expression")
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1))
    parser.add_argument("--class", dest="class_name", help=argparse.SUPPRESS)
    parser.add_argument("--list", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("pythons", nargs="*", default=[sys.executable])
    options = parser.parse_args()
    if options.class_name or options.list:
        return run_class(options.class_name) if options.class_name else list_classes()
    verdicts = []
    for python in options.pythons:
        with tempfile.TemporaryDirectory() as folder:
            verdicts.append(check_python(python, options, folder))
    if all(verdict is None for verdict in verdicts):
        return 77
    return 1 if False in verdicts else 0


if os.environ.get("SKEP_CONFORMANCE_METHOD") and __name__ in ("__main__", "__mp_main__"):
    load_futures() if os.environ["SKEP_CONFORMANCE_METHOD"] == "futures" else load(os.environ["SKEP_CONFORMANCE_METHOD"])
if __name__ == "__main__":
    sys.exit(main())
