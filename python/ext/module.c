/* SPDX-License-Identifier: Apache-2.0 */
/* module.c - skep._core: the core of skep as Python types.  The package around it decides what users see. */
#include "item.h"

#include <stddef.h>

struct core_state *state_of_module(PyObject *module)
{
        return PyModule_GetState(module);
}

struct core_state *state_of_type(PyTypeObject *type)
{
        for (; type; type = type->tp_base) {
                PyObject *module = PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ? PyType_GetModule(type) : NULL;

                if (module && PyModule_GetDef(module) == &core_module)
                        return state_of_module(module);
                PyErr_Clear();
        }
        PyErr_SetString(PyExc_TypeError, "not a type of skep._core");
        return NULL;
}

PyDoc_STRVAR(array_beneath_doc, "array_beneath(ndarray)\n--\n\nThe Array in whose memory a numpy.ndarray lies, or None.");
static PyObject *core_array_beneath(PyObject *module, PyObject *object)
{
        struct core_state *state = state_of_module(module);
        PyObject *hive;
        skep_array *array = message_array_beneath(state, object, &hive);

        if (array)
                return array_wrap(state, hive, skep_array_ref(array));
        Py_RETURN_NONE;
}

PyDoc_STRVAR(numpy_allocator_doc, "numpy_allocator(hive, min_bytes)\n--\n\nAn allocator that takes arrays of that size and more from the hive.");
static PyObject *core_numpy_allocator(PyObject *module, PyObject *args)
{
        PyObject *hive;
        Py_ssize_t min_bytes;

        if (!PyArg_ParseTuple(args, "On:numpy_allocator", &hive, &min_bytes))
                return NULL;
        if (min_bytes < 1)
                return PyErr_Format(PyExc_ValueError, "min_bytes must be positive, not %zd", min_bytes);
        return allocator_make(state_of_module(module), hive, min_bytes);
}

PyDoc_STRVAR(use_numpy_allocator_doc, "use_numpy_allocator(allocator)\n--\n\nLet NumPy use it, None: its own.  Returns the one before.");
static PyObject *core_use_numpy_allocator(PyObject *module, PyObject *allocator)
{
        (void)module;
        return allocator_use(allocator);
}

static int visit_hive(const struct skep_hive_entry *entry, void *list)
{
        PyObject *item = Py_BuildValue("{s:s,s:K,s:K,s:I,s:O,s:i}", "name", entry->name, "file_bytes", (unsigned long long)entry->file_bytes,
                                       "capacity_bytes", (unsigned long long)entry->capacity_bytes, "members", entry->members, "persistent",
                                       entry->flags & SKEP_HIVE_PERSISTENT ? Py_True : Py_False, "state", entry->state);
        int failed = !item || PyList_Append(list, item) < 0;

        Py_XDECREF(item);
        return failed;
}

PyDoc_STRVAR(hives_doc, "hives()\n--\n\nThe named hives of this machine, a list of dicts, without joining them.");
static PyObject *core_hives(PyObject *module, PyObject *unused)
{
        PyObject *list = PyList_New(0);
        int result = list ? skep_hive_list(visit_hive, list) : 1;

        (void)unused;
        if (result == 0)
                return list;
        Py_XDECREF(list);
        return result < 0 ? raise_result(state_of_module(module), result, NULL, 0) : NULL;
}

PyDoc_STRVAR(unlink_doc, "unlink(name)\n--\n\nRemove the name of a hive; its members go on.  FileNotFoundError: there is none.");
static PyObject *core_unlink(PyObject *module, PyObject *name)
{
        const char *text = PyUnicode_AsUTF8(name);
        int result;

        if (!text)
                return NULL;
        result = skep_hive_unlink(text);
        if (result < 0)
                return raise_result(state_of_module(module), result, NULL, 0);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(pack_doc, "pack(hive, obj, tail=b'', number=0)\n--\n\n"
                       "The pickle of an object as bytes, with a tail and a number of 8 bytes behind it if given; or, if it has large\n"
                       "buffers or mentions objects of the hive, the tuple\n"
                       "(bytes, list of (memoryview, its address), list of (offset, serial)).");

PyDoc_STRVAR(mention_doc, "mention(hive, reference)\n--\n\n"
                          "Called by __reduce__: let the message that is being made hold that object until it has been taken.\n"
                          "False: what is pickled here does not go into a queue of that hive.");

PyDoc_STRVAR(between_waits_doc, "between_waits(function)\n--\n\nCall function() ten times a second in the waits of Connections; None: nothing.");
static PyObject *core_between_waits(PyObject *module, PyObject *function)
{
        struct core_state *state = state_of_module(module);

        if (function != Py_None)
                Py_INCREF(function);
        Py_XSETREF(state->between_waits, function == Py_None ? NULL : function);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(process_exiting_doc, "process_exiting()\n--\n\nThis process is about to end in order: no barrier breaks for it.");
static PyObject *core_process_exiting(PyObject *module, PyObject *unused)
{
        (void)module;
        (void)unused;
        skep_process_exiting();
        Py_RETURN_NONE;
}

PyDoc_STRVAR(reduce_arrays_with_doc, "reduce_arrays_with(reduce, reduce_shared, reduce_copied)\n--\n\n"
                                       "How ndarrays are pickled for messages; the others with copy=False and copy=True.");

static PyMethodDef core_methods[] = {
        {"array_beneath", core_array_beneath, METH_O, array_beneath_doc},
        {"between_waits", core_between_waits, METH_O, between_waits_doc},
        {"keys_with", item_keys_with, METH_O,
         "keys_with(function)\n--\n\nfunction(key): an exact builtin value that is equal to the key, or a list that says what it is made of."},
        {"nested_as", item_nested_as, METH_VARARGS,
         "nested_as(kind, type, attach)\n--\n\n"
         "Containers hold objects of that type as objects of the hive; attach(type, hive, reference, (), None) makes a new handle."},
        {"mention", pickle_mention, METH_VARARGS, mention_doc},
        {"pack", (PyCFunction)(void (*)(void))pickle_pack, METH_FASTCALL, pack_doc},
        {"numpy_allocator", core_numpy_allocator, METH_VARARGS, numpy_allocator_doc},
        {"use_numpy_allocator", core_use_numpy_allocator, METH_O, use_numpy_allocator_doc},
        {"hives", core_hives, METH_NOARGS, hives_doc},
        {"poll_any", channel_poll_any, METH_VARARGS,
         "poll_any(objects, timeout)\n--\n\nWait until one of the Connections and Queues is ready; None: they cannot be waited for together."},
        {"reduce_arrays_with", pickle_reduce_arrays_with, METH_VARARGS, reduce_arrays_with_doc},
        {"process_exiting", core_process_exiting, METH_NOARGS, process_exiting_doc},
        {"unlink", core_unlink, METH_O, unlink_doc},
        {NULL, NULL, 0, NULL},
};

/* --- the module's own references, listed once --- */

#define STATE_OBJECTS(X)                                                                                                      \
        X(hive_type) X(array_type) X(queue_type) X(sink_type) X(holdable_type) X(lock_type) X(rlock_type)                     \
        X(semaphore_type) X(rwlock_type) X(condition_type) X(event_type) X(barrier_type) X(once_type) X(value_type)           \
        X(hive_error) X(gone_error) X(owner_died_error) X(owner_died_warning) X(broken_barrier) X(full) X(empty)              \
        X(pickle_dumps) X(pickle_loads) X(pickler) X(forking_pickler) X(copyreg_table) X(protocol) X(pickler_keywords)        \
        X(loads_keywords) X(name_extra_reducers) X(name_dispatch_table) X(name_dump) X(name_raw) X(name_base)                 \
        X(name_copy) X(reduce_array) X(reduce_array_shared) X(reduce_array_copied) X(recarray)                         \
        X(name_block) X(name_timeout) X(ndarray) X(numpy_asarray) X(numpy_copyto) X(memory_type) X(items_type)                \
        X(channel_type) X(buffer_too_short) X(between_waits) X(board_type) X(delivery_type) X(secure_type) X(nested)          \
        X(simplify_key) X(list_type) X(dict_type) X(namespace_type)

static int core_traverse(PyObject *module, visitproc visit, void *arg)
{
        struct core_state *state = state_of_module(module);

#define X(field) Py_VISIT(state->field);
        STATE_OBJECTS(X)
#undef X
        return 0;
}

static int core_clear(PyObject *module)
{
        struct core_state *state = state_of_module(module);

#define X(field) Py_CLEAR(state->field);
        STATE_OBJECTS(X)
#undef X
        return 0;
}

static void core_free(void *module)
{
        core_clear(module);
}

/* module.name, or NULL with an exception */
static PyObject *fetch(const char *module_name, const char *name)
{
        PyObject *module = PyImport_ImportModule(module_name);
        PyObject *object = module ? PyObject_GetAttrString(module, name) : NULL;

        Py_XDECREF(module);
        return object;
}

static PyTypeObject *add_subtype(PyObject *module, PyType_Spec *spec, const char *name, PyTypeObject *base)
{
        PyObject *bases = base ? PyTuple_Pack(1, base) : NULL; /* Python 3.9 takes no type in its place */
        PyObject *type = base && !bases ? NULL : PyType_FromModuleAndSpec(module, spec, bases);

        Py_XDECREF(bases);
        if (!type || !name)
                return (PyTypeObject *)type;
        Py_INCREF(type);
        if (PyModule_AddObject(module, name, type) < 0) {
                Py_DECREF(type);
                Py_CLEAR(type);
        }
        return (PyTypeObject *)type;
}

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
        return add_subtype(module, spec, name, NULL);
}

static int core_exec(PyObject *module)
{
        struct core_state *state = state_of_module(module);

        if (errors_add(module, state) < 0 || PyModule_AddStringConstant(module, "__version__", SKEP_VERSION) < 0)
                return -1;
#define NEED(field, expression)                                                                                              \
        if (!(state->field = (expression)))                                                                                   \
                return -1;
        NEED(hive_type, add_type(module, &hive_spec, "Hive"))
        NEED(array_type, add_type(module, &array_spec, "Array"))
        NEED(queue_type, add_type(module, &queue_spec, "Queue"))
        NEED(delivery_type, add_type(module, &delivery_spec, "Delivery"))
        NEED(channel_type, add_type(module, &channel_spec, "Connection"))
        NEED(buffer_too_short, fetch("multiprocessing", "BufferTooShort"))
        NEED(sink_type, add_type(module, &sink_spec, NULL))
        NEED(board_type, add_type(module, &board_spec, "Board"))
        NEED(memory_type, add_type(module, &memory_spec, "Memory"))
        NEED(items_type, add_type(module, &items_spec, "ItemList"))
        NEED(holdable_type, add_type(module, &holdable_spec, NULL))
        NEED(lock_type, add_subtype(module, &lock_spec, "Lock", state->holdable_type))
        NEED(rlock_type, add_subtype(module, &rlock_spec, "RLock", state->holdable_type))
        NEED(semaphore_type, add_subtype(module, &semaphore_spec, "Semaphore", state->holdable_type))
        NEED(rwlock_type, add_type(module, &rwlock_spec, "RWLock"))
        NEED(condition_type, add_type(module, &condition_spec, "Condition"))
        NEED(event_type, add_type(module, &event_spec, "Event"))
        NEED(barrier_type, add_type(module, &barrier_spec, "Barrier"))
        NEED(once_type, add_type(module, &once_spec, "Once"))
        NEED(value_type, add_type(module, &value_spec, "Value"))
        NEED(secure_type, add_type(module, &secure_spec, "SecureConnection"))
        NEED(list_type, add_type(module, &list_spec, "List"))
        NEED(dict_type, add_type(module, &dict_spec, "Dict"))
        NEED(namespace_type, add_type(module, &namespace_spec, "Namespace"))
        NEED(broken_barrier, fetch("threading", "BrokenBarrierError"))
        NEED(full, fetch("queue", "Full"))
        NEED(empty, fetch("queue", "Empty"))
        NEED(pickle_dumps, fetch("pickle", "dumps"))
        NEED(pickle_loads, fetch("pickle", "loads"))
        NEED(pickler, fetch("pickle", "Pickler"))
        NEED(forking_pickler, fetch("multiprocessing.reduction", "ForkingPickler"))
        NEED(copyreg_table, fetch("copyreg", "dispatch_table"))
        NEED(protocol, PyLong_FromLong(5))
        NEED(pickler_keywords, Py_BuildValue("(s)", "buffer_callback"))
        NEED(loads_keywords, Py_BuildValue("(s)", "buffers"))
        NEED(name_extra_reducers, PyUnicode_InternFromString("_extra_reducers"))
        NEED(name_dispatch_table, PyUnicode_InternFromString("dispatch_table"))
        NEED(name_dump, PyUnicode_InternFromString("dump"))
        NEED(name_copy, PyUnicode_InternFromString("copy"))
        NEED(name_raw, PyUnicode_InternFromString("raw"))
        NEED(name_base, PyUnicode_InternFromString("base"))
        NEED(name_block, PyUnicode_InternFromString("block"))
        NEED(name_timeout, PyUnicode_InternFromString("timeout"))
#undef NEED
        return 0;
}

static PyModuleDef_Slot core_slots[] = {
        {Py_mod_exec, (void *)core_exec},
        {0, NULL},
};

struct PyModuleDef core_module = {
        PyModuleDef_HEAD_INIT,
        .m_name = "skep._core",
        .m_doc = "Hives, and all that lies in them, of libskep.",
        .m_size = sizeof(struct core_state),
        .m_methods = core_methods,
        .m_slots = core_slots,
        .m_traverse = core_traverse,
        .m_clear = core_clear,
        .m_free = core_free,
};

PyMODINIT_FUNC PyInit__core(void);
PyMODINIT_FUNC PyInit__core(void)
{
        return PyModuleDef_Init(&core_module);
}
