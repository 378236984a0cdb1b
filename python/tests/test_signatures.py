# SPDX-License-Identifier: Apache-2.0
"""Every public name of multiprocessing and of its submodules is skep's too, with the same signature; what differs stands here."""
import importlib
import inspect
import multiprocessing
import pkgutil

import pytest

import skep

MODULES = sorted({module.name for module in pkgutil.iter_modules(multiprocessing.__path__)} | {'dummy.connection'})

# name -> why skep's is not there
ABSENT = {
    'managers.SharedMemoryManager.address': 'an attribute of its objects',
    'managers.SharedMemoryManager.register': 'it has no server that could serve other types',
    'pool.Pool.Process': 'a hook for its own subclass ThreadPool; workers are made by the context',
}
# name -> why skep's takes something else
DIFFERENT = {}


def public_names(module):
    """What it exports, or else what it defines."""
    named = getattr(module, '__all__', None)
    if named:
        return named
    return [name for name, value in vars(module).items() if not name.startswith('_') and getattr(value, '__module__', None) == module.__name__]


def signature_of(value):
    """Its parameters without those that are named privately, or None: written in C without a signature."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (ValueError, TypeError):
        return None
    return [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters
            if parameter.name not in ('self', 'cls') and not parameter.name.startswith('_')]


def accepts(ours, theirs):
    """Whether each call that theirs takes means the same to ours, which may take more by keyword or at the end with defaults."""
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in theirs):
        return True  # hands on to others
    by_name = {parameter.name: parameter for parameter in ours}
    positional = [parameter.name for parameter in theirs if parameter.kind is not parameter.KEYWORD_ONLY]
    if [parameter.name for parameter in ours if parameter.kind is not parameter.KEYWORD_ONLY][:len(positional)] != positional:
        return False
    for parameter in theirs:
        same = by_name.pop(parameter.name, None)
        if same is None or (same.kind is same.POSITIONAL_ONLY) > (parameter.kind is parameter.POSITIONAL_ONLY):
            return False
        if same.default != parameter.default and parameter.default is not parameter.empty:
            return False
    return all(parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD for parameter in by_name.values())


def members_of(cls):
    return [name for name in dir(cls) if not name.startswith('_')]


def differences(where, theirs, ours):
    if ours is theirs:
        return
    if inspect.isclass(theirs):
        if not inspect.isclass(ours):
            yield where, 'is no class'
            return
        for name in members_of(theirs):
            if not hasattr(ours, name):
                yield f'{where}.{name}', 'absent'
            elif callable(getattr(theirs, name)):
                yield from differences(f'{where}.{name}', getattr(theirs, name), getattr(ours, name))
    if not callable(theirs):
        return
    wanted, got = signature_of(theirs), signature_of(ours)
    if wanted is not None and got is None:
        yield where, f'has no signature, not {wanted}'
    elif wanted is not None and not accepts(got, wanted):
        yield where, f'{[str(each) for each in got]}, not {[str(each) for each in wanted]}'


def compare(theirs, ours, prefix):
    for name in public_names(theirs):
        if not hasattr(ours, name):
            yield f'{prefix}{name}', 'absent'
        else:
            yield from differences(f'{prefix}{name}', getattr(theirs, name), getattr(ours, name))


def judge(found):
    found = dict(found)
    unexpected = {where: what for where, what in found.items() if where not in (ABSENT if what == 'absent' else DIFFERENT)}
    assert not unexpected, '\n'.join(f'{where}: {what}' for where, what in unexpected.items())
    return set(found)


def test_the_package():
    judge(compare(multiprocessing, skep, ''))


@pytest.mark.parametrize('method', ['fork', 'spawn', 'forkserver'])
def test_the_contexts(method):
    theirs, ours = multiprocessing.get_context(method), skep.get_context(method)
    judge(found for name in dir(theirs) if not name.startswith('_')
          for found in ([(name, 'absent')] if not hasattr(ours, name) else differences(name, getattr(theirs, name), getattr(ours, name))))


@pytest.mark.parametrize('name', MODULES)
def test_the_submodule(name):
    try:
        theirs = importlib.import_module(f'multiprocessing.{name}')
    except ImportError:
        pytest.skip('of another operating system')
    judge(compare(theirs, importlib.import_module(f'skep.{name}'), f'{name}.'))


def test_no_exception_is_out_of_date():
    found = set()
    for name in MODULES:
        try:
            theirs = importlib.import_module(f'multiprocessing.{name}')
        except ImportError:
            continue
        found |= {where for where, _ in compare(theirs, importlib.import_module(f'skep.{name}'), f'{name}.')}
    found |= {where for where, _ in compare(multiprocessing, skep, '')}
    assert set(ABSENT) | set(DIFFERENT) <= found


def test_what_has_one_argument_takes_it_by_name():
    queue, (left, right) = skep.Queue(), skep.Pipe()
    queue.put_nowait(obj=1)
    left.send(obj=2)
    assert (queue.get(), right.recv()) == (1, 2)
    for call in queue.put_nowait, left.send:
        for arguments, names in ((), {}), ((1, 2), {}), ((), {'other': 1}), ((1,), {'obj': 1}):
            with pytest.raises(TypeError):
                call(*arguments, **names)
