/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shared_memory_type.c - skep._core.Memory, a block of shared memory by name; skep._core.ItemList, a list in one
 *
 * A Memory is what memoryviews and arrays on the block keep alive; with it the mapping goes.  use() gives one without a
 * mapping, for its hold on the name.
 */
#include "state.h"

#include <errno.h>
#include <string.h>

#define ITEMS_SLICE_NS ((int64_t)100 * 1000 * 1000)
#define ITEM_ON_STACK_BYTES 512

struct memory_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *hive;
        skep_shared_memory *memory; /* NULL before it is made */
        Py_ssize_t exports;
        bool maps;   /* the one of the handle that unmaps */
        bool closed; /* for new uses; who is in the middle of one, or has a view, goes on */
};

struct items_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *memory; /* keeps the mapping while a thread is inside a call */
        skep_shareable_list *list; /* NULL before it is made */
};

static struct memory_object *as_memory(PyObject *self)
{
        return (struct memory_object *)self;
}

static struct items_object *as_items(PyObject *self)
{
        return (struct items_object *)self;
}

/* Shortage is of /dev/shm here; what is bad is the caller's. @return NULL */
static void *raise_memory_result(struct core_state *state, int result, PyObject *name, uint64_t bytes)
{
        char text[120];

        switch (result) {
        case -EINVAL:
        case -ENAMETOOLONG:
                return PyErr_Format(PyExc_ValueError, "not a name of shared memory: %R", name);
        case -EBADMSG:
                return PyErr_Format(PyExc_ValueError, "%R is empty or not a block of shared memory", name);
        case -ENOSPC:
                snprintf(text, sizeof text, "no room for %llu bytes of shared memory: /dev/shm or the hive is full", (unsigned long long)bytes);
                return raise_os(PyExc_OSError, result, bytes ? text : "no room for the block: /dev/shm or the hive is full", name);
        case -ENOENT:
        case -EEXIST:
        case -EACCES:
                return raise_os(PyExc_OSError, result, skep_strerror(result), name);
        default:
                return raise_result(state, result, NULL, bytes);
        }
}

/* The same for making one: then it is not the name that is missing. @return NULL */
static void *raise_making(struct core_state *state, int result, PyObject *name, uint64_t bytes)
{
        return result == -ENOENT ? raise_os(PyExc_OSError, result, "there is no /dev/shm here", NULL) : raise_memory_result(state, result, name, bytes);
}

/* A name, or NULL for None. @return 0; -1 with an exception */
static int name_from(PyObject *object, const char **ret_name)
{
        Py_ssize_t bytes = 0;

        *ret_name = NULL;
        if (object == Py_None)
                return 0;
        if (!PyUnicode_Check(object)) {
                PyErr_Format(PyExc_TypeError, "name must be str or None, not %.100s", Py_TYPE(object)->tp_name);
                return -1;
        }
        *ret_name = PyUnicode_AsUTF8AndSize(object, &bytes);
        if (*ret_name && strlen(*ret_name) != (size_t)bytes) {
                PyErr_SetString(PyExc_ValueError, "embedded null character");
                return -1;
        }
        return *ret_name ? 0 : -1;
}

/* --- Memory --- */

static PyObject *memory_wrap(PyObject *type, PyObject *hive, skep_shared_memory *memory_take, bool maps)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        PyObject *self = state ? ((PyTypeObject *)type)->tp_alloc((PyTypeObject *)type, 0) : NULL;

        if (!self) {
                skep_shared_memory_unref(memory_take);
                return NULL;
        }
        as_memory(self)->state = state;
        as_memory(self)->memory = memory_take;
        as_memory(self)->maps = maps;
        Py_INCREF(hive);
        as_memory(self)->hive = hive;
        return self;
}

PyDoc_STRVAR(memory_create_doc, "create(hive, name, size, persistent=False)\n--\n\nMake a block; name None: one is made up.");
static PyObject *memory_create(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        struct skep_shared_memory_options options = {.options_bytes = sizeof(options)};
        PyObject *hive_object, *name;
        skep_shared_memory *memory = NULL;
        unsigned long long bytes;
        int persistent = 0, result;
        skep_hive *hive;

        if (!state || !PyArg_ParseTuple(args, "OOK|p:create", &hive_object, &name, &bytes, &persistent) || !(hive = hive_handle(state, hive_object)) ||
            name_from(name, &options.name) < 0)
                return NULL;
        options.bytes = bytes;
        options.flags = persistent ? SKEP_SHARED_MEMORY_PERSISTENT : 0;
        Py_BEGIN_ALLOW_THREADS
        result = skep_shared_memory_create(hive, &options, &memory);
        Py_END_ALLOW_THREADS
        return result < 0 ? raise_making(state, result, name, bytes) : memory_wrap(type, hive_object, memory, true);
}

PyDoc_STRVAR(memory_open_doc, "open(hive, name)\n--\n\nAttach a block by name, whoever made it.");
static PyObject *memory_open(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        PyObject *hive_object, *name;
        skep_shared_memory *memory = NULL;
        const char *text;
        skep_hive *hive;
        int result;

        if (!state || !PyArg_ParseTuple(args, "OU:open", &hive_object, &name) || !(hive = hive_handle(state, hive_object)) || name_from(name, &text) < 0)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        result = skep_shared_memory_open(hive, text, &memory);
        Py_END_ALLOW_THREADS
        return result < 0 ? raise_memory_result(state, result, name, 0) : memory_wrap(type, hive_object, memory, true);
}

static void memory_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        if (as_memory(self)->maps && as_memory(self)->memory)
                skep_shared_memory_unmap(as_memory(self)->memory);
        skep_shared_memory_unref(as_memory(self)->memory);
        Py_XDECREF(as_memory(self)->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

static int memory_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
        void *address = as_memory(self)->maps && !as_memory(self)->closed ? skep_shared_memory_address(as_memory(self)->memory) : NULL;

        view->obj = NULL;
        if (!address) {
                PyErr_SetString(PyExc_BufferError, "the block is not mapped");
                return -1;
        }
        if (PyBuffer_FillInfo(view, self, address, (Py_ssize_t)skep_shared_memory_bytes(as_memory(self)->memory), 0, flags) < 0)
                return -1;
        as_memory(self)->exports++;
        return 0;
}

static void memory_releasebuffer(PyObject *self, Py_buffer *view)
{
        (void)view;
        as_memory(self)->exports--;
}

PyDoc_STRVAR(memory_use_doc, "use()\n--\n\nAnother hold on the name, without the mapping.");
static PyObject *memory_use(PyObject *self, PyObject *unused)
{
        (void)unused;
        return memory_wrap((PyObject *)Py_TYPE(self), as_memory(self)->hive, skep_shared_memory_ref(as_memory(self)->memory), false);
}

PyDoc_STRVAR(memory_close_doc, "close()\n--\n\nNo new views, and no list in it is used any more; the mapping goes with this object.");
static PyObject *memory_close(PyObject *self, PyObject *unused)
{
        (void)unused;
        as_memory(self)->closed = true;
        Py_RETURN_NONE;
}

PyDoc_STRVAR(memory_unlink_doc, "unlink()\n--\n\nRemove the name.  FileNotFoundError: it is gone, or another block's.");
static PyObject *memory_unlink(PyObject *self, PyObject *unused)
{
        int result = skep_shared_memory_unlink(as_memory(self)->memory);

        (void)unused;
        if (result < 0) {
                PyObject *name = PyUnicode_FromString(skep_shared_memory_name(as_memory(self)->memory));

                if (name)
                        raise_memory_result(as_memory(self)->state, result, name, 0);
                Py_XDECREF(name);
                return NULL;
        }
        Py_RETURN_NONE;
}

PyDoc_STRVAR(memory_leave_doc, "leave()\n--\n\nLeave the name to the hive: it goes with the last member that ends in order.");
static PyObject *memory_leave(PyObject *self, PyObject *unused)
{
        int result = skep_shared_memory_leave(as_memory(self)->memory);

        (void)unused;
        if (result < 0)
                return raise_result(as_memory(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(memory_keep_doc, "keep()\n--\n\nThe name is wanted by others of the hive: it outlives this process even if that is killed.");
static PyObject *memory_keep(PyObject *self, PyObject *unused)
{
        int result = skep_shared_memory_keep(as_memory(self)->memory);

        (void)unused;
        if (result < 0)
                return raise_result(as_memory(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(memory_other_views_doc, "other_views(view)\n--\n\nHow many views of the block are alive beside this one, a memoryview(self).");
static PyObject *memory_other_views(PyObject *self, PyObject *view)
{
        PyMemoryViewObject *memoryview = (PyMemoryViewObject *)view;
        Py_ssize_t others;

        if (!PyMemoryView_Check(view) || PyMemoryView_GET_BUFFER(view)->obj != self) {
                PyErr_SetString(PyExc_TypeError, "a memoryview of this block is needed");
                return NULL;
        }
        others = memoryview->exports + memoryview->mbuf->exports - 1 + as_memory(self)->exports - 1;
        return PyLong_FromSsize_t(others);
}

static PyObject *memory_get_name(PyObject *self, void *unused)
{
        (void)unused;
        return PyUnicode_FromString(skep_shared_memory_name(as_memory(self)->memory));
}

static PyObject *memory_get_size(PyObject *self, void *unused)
{
        (void)unused;
        return PyLong_FromUnsignedLongLong(skep_shared_memory_bytes(as_memory(self)->memory));
}

static PyObject *memory_get_linked(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(skep_shared_memory_is_linked(as_memory(self)->memory));
}

static PyMethodDef memory_methods[] = {
        {"create", memory_create, METH_VARARGS | METH_CLASS, memory_create_doc},
        {"open", memory_open, METH_VARARGS | METH_CLASS, memory_open_doc},
        {"use", memory_use, METH_NOARGS, memory_use_doc},
        {"close", memory_close, METH_NOARGS, memory_close_doc},
        {"unlink", memory_unlink, METH_NOARGS, memory_unlink_doc},
        {"keep", memory_keep, METH_NOARGS, memory_keep_doc},
        {"leave", memory_leave, METH_NOARGS, memory_leave_doc},
        {"other_views", memory_other_views, METH_O, memory_other_views_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef memory_getset[] = {
        {"name", memory_get_name, NULL, "Without a slash at its head.", NULL},
        {"size", memory_get_size, NULL, "Bytes.", NULL},
        {"linked", memory_get_linked, NULL, "Whether the name still stands for this block.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

/* Not by a flag, which Python 3.9 does not have. */
static PyObject *memory_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        (void)args;
        (void)kwargs;
        PyErr_Format(PyExc_TypeError, "%s is made by create() and open()", type->tp_name);
        return NULL;
}

static PyType_Slot memory_slots[] = {
        {Py_tp_doc, (void *)"A block of shared memory by name; memoryview(self) sees its bytes."},
        {Py_tp_new, (void *)memory_new},
        {Py_tp_dealloc, (void *)memory_dealloc},
        {Py_tp_methods, memory_methods},
        {Py_tp_getset, memory_getset},
        {Py_bf_getbuffer, (void *)memory_getbuffer},
        {Py_bf_releasebuffer, (void *)memory_releasebuffer},
        {0, NULL},
};

PyType_Spec memory_spec = {
        .name = "skep._core.Memory",
        .basicsize = sizeof(struct memory_object),
        .flags = Py_TPFLAGS_DEFAULT,
        .slots = memory_slots,
};

/* --- values --- */

/* @return 0; -1 with an exception. ret_item borrows from the object */
static int item_from(PyObject *object, struct skep_shareable_item *ret_item)
{
        *ret_item = (struct skep_shareable_item){.type = SKEP_SHAREABLE_NONE};
        if (object == Py_None)
                return 0;
        if (PyBool_Check(object)) {
                ret_item->type = SKEP_SHAREABLE_BOOL;
                ret_item->integer = object == Py_True;
        } else if (PyLong_Check(object)) {
                int overflow;

                ret_item->type = SKEP_SHAREABLE_INT;
                ret_item->integer = PyLong_AsLongLongAndOverflow(object, &overflow);
                if (overflow) {
                        PyErr_SetString(PyExc_OverflowError, "a ShareableList holds ints of 64 bits, from -2**63 to 2**63 - 1");
                        return -1;
                }
        } else if (PyFloat_Check(object)) {
                ret_item->type = SKEP_SHAREABLE_FLOAT;
                ret_item->real = PyFloat_AS_DOUBLE(object);
        } else if (PyUnicode_Check(object)) {
                Py_ssize_t bytes;

                ret_item->type = SKEP_SHAREABLE_TEXT;
                ret_item->data = PyUnicode_AsUTF8AndSize(object, &bytes);
                ret_item->bytes = (uint64_t)bytes;
                return ret_item->data ? 0 : -1;
        } else if (PyBytes_Check(object)) {
                ret_item->type = SKEP_SHAREABLE_BYTES;
                ret_item->data = PyBytes_AS_STRING(object);
                ret_item->bytes = (uint64_t)PyBytes_GET_SIZE(object);
        } else {
                PyErr_Format(PyExc_TypeError, "a ShareableList holds int, float, bool, str, bytes and None, not %.100s", Py_TYPE(object)->tp_name);
                return -1;
        }
        return 0;
}

static PyObject *item_to(const struct skep_shareable_item *item)
{
        switch (item->type) {
        case SKEP_SHAREABLE_BOOL:
                return PyBool_FromLong(item->integer != 0);
        case SKEP_SHAREABLE_INT:
                return PyLong_FromLongLong(item->integer);
        case SKEP_SHAREABLE_FLOAT:
                return PyFloat_FromDouble(item->real);
        case SKEP_SHAREABLE_TEXT:
                return PyUnicode_DecodeUTF8(item->bytes ? item->data : "", (Py_ssize_t)item->bytes, NULL);
        case SKEP_SHAREABLE_BYTES:
                return PyBytes_FromStringAndSize(item->data, (Py_ssize_t)item->bytes);
        default:
                Py_RETURN_NONE;
        }
}

/* @return NULL */
static void *raise_item(PyObject *self, int result)
{
        switch (result) {
        case -ERANGE:
                PyErr_SetString(PyExc_IndexError, "index out of range");
                return NULL;
        case -EMSGSIZE:
                PyErr_SetString(PyExc_ValueError, "bytes/str item exceeds available storage");
                return NULL;
        case -ENOTSUP:
                PyErr_SetString(PyExc_ValueError, "this list was made by multiprocessing: it would lose the NUL at the end");
                return NULL;
        default:
                return raise_result(as_items(self)->state, result, NULL, 0);
        }
}

/* --- ItemList --- */

static PyObject *items_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct core_state *state = state_of_type(type);
        PyObject *self = state ? type->tp_alloc(type, 0) : NULL;

        (void)args;
        (void)kwargs;
        if (self)
                as_items(self)->state = state;
        return self;
}

static void items_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        skep_shareable_list_unref(as_items(self)->list);
        Py_XDECREF(as_items(self)->memory);
        type->tp_free(self);
        Py_DECREF(type);
}

static int items_ready(PyObject *self)
{
        if (as_items(self)->list && !as_memory(as_items(self)->memory)->closed)
                return 0;
        PyErr_SetString(PyExc_ValueError, as_items(self)->list ? "the block of the list is closed" : "the list was not made");
        return -1;
}

static PyObject *items_adopt(PyObject *self, PyObject *hive, skep_shareable_list *list)
{
        PyObject *memory =
                memory_wrap((PyObject *)as_items(self)->state->memory_type, hive, skep_shared_memory_ref(skep_shareable_list_memory(list)), true);

        if (!memory || as_items(self)->list) {
                if (memory)
                        PyErr_SetString(PyExc_ValueError, "the list was made before");
                Py_XDECREF(memory);
                skep_shareable_list_unref(list);
                return NULL;
        }
        as_items(self)->list = list;
        Py_INCREF(memory);
        as_items(self)->memory = memory;
        return memory;
}

PyDoc_STRVAR(items_make_doc, "_make(hive, name, values, room=0, persistent=False)\n--\n\nMake the list in a new block.  Returns its Memory.");
static PyObject *items_make(PyObject *self, PyObject *args)
{
        struct skep_shareable_list_options options = {.options_bytes = sizeof(options)};
        struct core_state *state = as_items(self)->state;
        PyObject *hive_object, *name, *values, *sequence, *memory = NULL;
        unsigned long long room = 0;
        struct skep_shareable_item *items;
        skep_shareable_list *list;
        int persistent = 0, result = 0;
        skep_hive *hive;

        if (!PyArg_ParseTuple(args, "OOO|Kp:_make", &hive_object, &name, &values, &room, &persistent) || !(hive = hive_handle(state, hive_object)) ||
            name_from(name, &options.name) < 0)
                return NULL;
        sequence = PySequence_Tuple(values); /* nobody changes it meanwhile */
        if (!sequence)
                return NULL;
        options.count = (uint64_t)PyTuple_GET_SIZE(sequence);
        options.items = items = PyMem_Calloc(options.count + 1, sizeof *items);
        options.room_bytes = room;
        options.flags = persistent ? SKEP_SHARED_MEMORY_PERSISTENT : 0;
        if (!items)
                PyErr_NoMemory();
        for (uint64_t i = 0; items && result == 0 && i < options.count; i++)
                result = item_from(PyTuple_GET_ITEM(sequence, (Py_ssize_t)i), &items[i]);
        if (items && result == 0) {
                Py_BEGIN_ALLOW_THREADS
                result = skep_shareable_list_create(hive, &options, &list);
                Py_END_ALLOW_THREADS
                if (result == -EMSGSIZE)
                        PyErr_Format(PyExc_ValueError, "an item of a ShareableList takes at most %llu bytes", (unsigned long long)SKEP_SHAREABLE_BYTES_MAX - 1);
                else if (result < 0)
                        raise_making(state, result, name, 0);
                else
                        memory = items_adopt(self, hive_object, list);
        }
        PyMem_Free(items);
        Py_DECREF(sequence);
        return memory;
}

PyDoc_STRVAR(items_open_doc, "_open(hive, name)\n--\n\nAttach a list by name.  Returns its Memory.");
static PyObject *items_open(PyObject *self, PyObject *args)
{
        PyObject *hive_object, *name;
        skep_shareable_list *list;
        const char *text;
        skep_hive *hive;
        int result;

        if (!PyArg_ParseTuple(args, "OU:_open", &hive_object, &name) || !(hive = hive_handle(as_items(self)->state, hive_object)) ||
            name_from(name, &text) < 0)
                return NULL;
        result = skep_shareable_list_open(hive, text, &list);
        if (result == -EBADMSG)
                return PyErr_Format(PyExc_ValueError, "%R is no ShareableList", name);
        return result < 0 ? raise_memory_result(as_items(self)->state, result, name, 0) : items_adopt(self, hive_object, list);
}

static Py_ssize_t items_length(PyObject *self)
{
        return items_ready(self) < 0 ? -1 : (Py_ssize_t)skep_shareable_list_length(as_items(self)->list);
}

/* One attempt to read or write; the lock is another writer's for some ten nanoseconds, or for as long as he is stopped. */
struct items_context {
        skep_shareable_list *list;
        uint64_t index;
        struct skep_shareable_item *item;
        void *buffer; /* NULL: write */
        uint64_t capacity;
};

static int attempt_items(void *pointer, skep_deadline deadline)
{
        struct items_context *context = pointer;

        return context->buffer ? skep_shareable_list_get(context->list, context->index, context->buffer, context->capacity, context->item, deadline)
                               : skep_shareable_list_set(context->list, context->index, context->item, deadline);
}

/* The list's lock is not skep's own and knows of no interrupt function, so signals are looked for between two slices. */
static int items_wait(struct items_context *context)
{
        int result = attempt_items(context, skep_nowait());

        while (result == -ETIMEDOUT) {
                if (PyErr_CheckSignals() < 0)
                        return WAIT_RAISED;
                result = wait_without_gil(attempt_items, context, skep_within_ns(ITEMS_SLICE_NS));
        }
        return result;
}

static PyObject *items_item(PyObject *self, Py_ssize_t index)
{
        char on_stack[ITEM_ON_STACK_BYTES], *buffer = on_stack;
        struct skep_shareable_item item;
        uint64_t room;
        PyObject *object;
        int result;

        if (items_ready(self) < 0)
                return NULL;
        if (index < 0)
                return raise_item(self, -ERANGE);
        room = skep_shareable_list_room(as_items(self)->list, (uint64_t)index);
        if (room > sizeof on_stack && !(buffer = PyMem_Malloc(room)))
                return PyErr_NoMemory();
        result = items_wait(&(struct items_context){as_items(self)->list, (uint64_t)index, &item, buffer, room > sizeof on_stack ? room : sizeof on_stack});
        object = result ? raise_item(self, result) : item_to(&item);
        if (buffer != on_stack)
                PyMem_Free(buffer);
        return object;
}

static int items_assign(PyObject *self, Py_ssize_t index, PyObject *object)
{
        struct skep_shareable_item item;
        int result;

        if (items_ready(self) < 0)
                return -1;
        if (!object) {
                PyErr_SetString(PyExc_TypeError, "a ShareableList keeps its length");
                return -1;
        }
        if (index < 0 || (uint64_t)index >= skep_shareable_list_length(as_items(self)->list)) {
                PyErr_SetString(PyExc_IndexError, "assignment index out of range");
                return -1;
        }
        if (item_from(object, &item) < 0)
                return -1;
        result = items_wait(&(struct items_context){.list = as_items(self)->list, .index = (uint64_t)index, .item = &item});
        if (result)
                raise_item(self, result);
        return result ? -1 : 0;
}

/* The format of one slot, as struct writes it. */
static PyObject *items_format(PyObject *self, PyObject *index_object)
{
        Py_ssize_t index = PyNumber_AsSsize_t(index_object, PyExc_IndexError);
        char format[9];
        int result;

        if ((index == -1 && PyErr_Occurred()) || items_ready(self) < 0)
                return NULL;
        if (index < 0)
                index += (Py_ssize_t)skep_shareable_list_length(as_items(self)->list);
        result = index < 0 ? -ERANGE : skep_shareable_list_format(as_items(self)->list, (uint64_t)index, format);
        return result < 0 ? raise_item(self, result) : PyUnicode_DecodeASCII(format, (Py_ssize_t)strlen(format), "replace");
}

static PyObject *items_get_format(PyObject *self, void *unused)
{
        PyObject *parts, *joined = NULL, *empty;

        (void)unused;
        if (items_ready(self) < 0 || !(parts = PyList_New(0)))
                return NULL;
        for (uint64_t i = 0; i < skep_shareable_list_length(as_items(self)->list); i++) {
                PyObject *index = PyLong_FromUnsignedLongLong(i);
                PyObject *part = index ? items_format(self, index) : NULL;

                Py_XDECREF(index);
                if (!part || PyList_Append(parts, part) < 0) {
                        Py_XDECREF(part);
                        Py_DECREF(parts);
                        return NULL;
                }
                Py_DECREF(part);
        }
        empty = PyUnicode_FromString("");
        if (empty)
                joined = PyUnicode_Join(empty, parts);
        Py_XDECREF(empty);
        Py_DECREF(parts);
        return joined;
}

static PyMethodDef items_methods[] = {
        {"_make", items_make, METH_VARARGS, items_make_doc},
        {"_open", items_open, METH_VARARGS, items_open_doc},
        {"_get_packing_format", items_format, METH_O, NULL},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef items_getset[] = {
        {"format", items_get_format, NULL, "The formats of all slots, as the struct module writes them.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot items_slots[] = {
        {Py_tp_doc, (void *)"A list of a fixed number of values in a block of shared memory."},
        {Py_tp_new, (void *)items_new},
        {Py_tp_dealloc, (void *)items_dealloc},
        {Py_tp_methods, items_methods},
        {Py_tp_getset, items_getset},
        {Py_sq_length, (void *)items_length},
        {Py_sq_item, (void *)items_item},
        {Py_sq_ass_item, (void *)items_assign},
        {0, NULL},
};

PyType_Spec items_spec = {
        .name = "skep._core.ItemList",
        .basicsize = sizeof(struct items_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = items_slots,
};
