/* SPDX-License-Identifier: Apache-2.0 */
/* module.c - skep._core: the core of skep as Python types.  The package around it decides what users see. */
#include "state.h"

#include <stddef.h>

static struct core_state *state_of_module(PyObject *module)
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
        struct array_object *array = message_array_beneath(state_of_module(module), object);
        PyObject *result = array ? (PyObject *)array : Py_None;

        Py_INCREF(result);
        return result;
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
                          "Called by __reduce__: the message that is being made, if any, keeps that object alive until it has been taken.");

static PyMethodDef core_methods[] = {
        {"array_beneath", core_array_beneath, METH_O, array_beneath_doc},
        {"mention", pickle_mention, METH_VARARGS, mention_doc},
        {"pack", (PyCFunction)(void (*)(void))pickle_pack, METH_FASTCALL, pack_doc},
        {"hives", core_hives, METH_NOARGS, hives_doc},
        {"unlink", core_unlink, METH_O, unlink_doc},
        {NULL, NULL, 0, NULL},
};

/* --- the module's own references, listed once --- */

#define STATE_OBJECTS(X)                                                                                                      \
        X(hive_type) X(array_type) X(queue_type) X(sink_type) X(board_type) X(hive_error) X(gone_error) X(full) X(empty)      \
        X(pickle_dumps) X(pickle_loads) X(pickler) X(forking_pickler) X(copyreg_table) X(protocol) X(pickler_keywords)        \
        X(loads_keywords)                                                                                                     \
        X(name_extra_reducers) X(name_dispatch_table) X(name_dump) X(name_raw) X(name_base) X(name_block) X(name_timeout)     \
        X(reduce_ndarray) X(ndarray) X(numpy_asarray) X(numpy_copyto)

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

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec, const char *name)
{
        PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);

        if (!type || !name)
                return (PyTypeObject *)type;
        Py_INCREF(type);
        if (PyModule_AddObject(module, name, type) < 0) {
                Py_DECREF(type);
                Py_CLEAR(type);
        }
        return (PyTypeObject *)type;
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
        NEED(sink_type, add_type(module, &sink_spec, NULL))
        NEED(board_type, add_type(module, &board_spec, "Board"))
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
        .m_doc = "Hives, arrays and queues of libskep.",
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
