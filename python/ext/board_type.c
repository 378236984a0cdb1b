/* SPDX-License-Identifier: Apache-2.0 */
/* board_type.c - skep._core.Board: which worker has which task (board.h) */
#include "board.h"
#include "state.h"

#include <errno.h>
#include <string.h>

struct board_object {
        PyObject_HEAD
        struct core_state *state;
        PyObject *hive;
        struct board board; /* no words before __init__ */
};

static struct board_object *as_object(PyObject *self)
{
        return (struct board_object *)self;
}

static struct board *as_board(PyObject *self)
{
        return &as_object(self)->board;
}

static PyObject *board_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct core_state *state = state_of_type(type);
        PyObject *self = state ? type->tp_alloc(type, 0) : NULL;

        (void)args;
        (void)kwargs;
        if (self)
                as_object(self)->state = state;
        return self;
}

static int board_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "places", "revoked", "reference", NULL};
        struct board *board = as_board(self);
        unsigned long long offset = 0, serial = 0;
        PyObject *hive_object;
        Py_ssize_t places, revoked;
        skep_hive *hive;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Onn|(KK):Board", keywords, &hive_object, &places, &revoked, &offset, &serial))
                return -1;
        if (board->words || places < 1 || revoked < 1 || places > INT32_MAX || revoked > INT32_MAX) {
                PyErr_SetString(PyExc_ValueError, "a board is made once, with places and room for revoked tasks");
                return -1;
        }
        hive = hive_handle(as_object(self)->state, hive_object);
        if (!hive)
                return -1;
        if (offset)
                result = skep_value_attach(hive, (skep_block){.offset = offset, .serial = serial}, &board->words);
        else
                result = skep_value_create(hive, SKEP_VALUE_OPTIONS(.element = SKEP_ELEMENT_I64, .count = (uint64_t)(1 + places + revoked)), &board->words);
        if (result < 0) {
                raise_result(as_object(self)->state, result, hive, 0);
                return -1;
        }
        if (skep_value_element(board->words) != SKEP_ELEMENT_I64 || skep_value_count(board->words) != (uint64_t)(1 + places + revoked)) {
                board->words = skep_value_unref(board->words);
                raise_result(as_object(self)->state, -EBADMSG, NULL, 0);
                return -1;
        }
        Py_INCREF(hive_object);
        as_object(self)->hive = hive_object;
        board->places = (uint64_t)places;
        return 0;
}

static void board_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        skep_value_unref(as_board(self)->words);
        Py_XDECREF(as_object(self)->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

/* A worker's place, from 0; -1 with IndexError. */
static Py_ssize_t place_from(PyObject *self, Py_ssize_t place)
{
        if (as_board(self)->words && place >= 0 && (uint64_t)place < as_board(self)->places)
                return place;
        PyErr_SetString(PyExc_IndexError, "no such place on the board");
        return -1;
}

static Py_ssize_t board_length(PyObject *self)
{
        return (Py_ssize_t)as_board(self)->places;
}

static PyObject *board_item(PyObject *self, Py_ssize_t place)
{
        if (place_from(self, place) < 0)
                return NULL;
        return PyLong_FromLongLong(board_word(as_board(self), board_place((uint64_t)place)));
}

static int board_set_item(PyObject *self, Py_ssize_t place, PyObject *value)
{
        long long word;

        if (!value || place_from(self, place) < 0)
                return -1;
        word = PyLong_AsLongLong(value);
        if (word == -1 && PyErr_Occurred())
                return -1;
        skep_value_store_i64(as_board(self)->words, board_place((uint64_t)place), word);
        return 0;
}

PyDoc_STRVAR(revoke_doc, "revoke(task)\n--\n\nWhoever takes this task from now on drops it; returns the places of those who had taken it before.\n"
                         "One caller at a time.");
static PyObject *board_revoke_task(PyObject *self, PyObject *number)
{
        struct board *board = as_board(self);
        long long task = PyLong_AsLongLong(number);
        PyObject *list;

        if ((task == -1 && PyErr_Occurred()) || place_from(self, 0) < 0)
                return NULL;
        board_revoke(board, task);
        list = PyList_New(0);
        for (uint64_t place = 0; list && place < board->places; place++) {
                PyObject *item;

                if (!board_shows(board, place, task))
                        continue;
                item = PyLong_FromUnsignedLongLong(place);
                if (!item || PyList_Append(list, item) < 0)
                        Py_CLEAR(list);
                Py_XDECREF(item);
        }
        return list;
}

/* A task's number: the last eight bytes of bytes, the last item of a tuple. @return -1 with ValueError: it has none */
static int64_t task_of(PyObject *message)
{
        int64_t task = -1;

        if (PyBytes_Check(message) && PyBytes_GET_SIZE(message) >= 8)
                memcpy(&task, PyBytes_AS_STRING(message) + PyBytes_GET_SIZE(message) - 8, sizeof(task));
        else if (PyTuple_Check(message) && PyTuple_GET_SIZE(message) > 0)
                task = PyLong_AsLongLong(PyTuple_GET_ITEM(message, PyTuple_GET_SIZE(message) - 1));
        if ((task < 0 || task >= BOARD_TAKING) && !PyErr_Occurred())
                PyErr_SetString(PyExc_ValueError, "a message without the number of a task");
        return PyErr_Occurred() ? -1 : task;
}

struct take_context {
        skep_queue *queue;
        struct skep_loan *loan;
};

static int attempt_take(void *pointer, skep_deadline deadline)
{
        struct take_context *context = pointer;

        return skep_queue_borrow(context->queue, context->loan, deadline);
}

PyDoc_STRVAR(take_doc, "take(queue, place)\n--\n\n"
                       "Wait for a task, write it on the board, take it.  None: it had been revoked, and its number is left on the board.\n"
                       "EOFError: the queue is shut down and drained.");
static PyObject *board_take_task(PyObject *self, PyObject *args)
{
        struct board_object *board = as_object(self);
        struct skep_loan loan;
        struct take_context context = {.loan = &loan};
        struct patience forever;
        PyObject *queue, *message;
        Py_ssize_t place;
        int64_t task;
        int result;

        if (!PyArg_ParseTuple(args, "O!n:take", board->state->queue_type, &queue, &place) || place_from(self, place) < 0 ||
            patience_from(NULL, NULL, &forever) < 0)
                return NULL;
        context.queue = ((struct queue_object *)queue)->queue;
        result = context.queue ? wait_for(attempt_take, &context, &forever, false) : -EINVAL;
        if (result == -ESHUTDOWN) {
                PyErr_SetNone(PyExc_EOFError);
                return NULL;
        }
        if (result != 0)
                return raise_result(board->state, result, NULL, 0);
        /* Builtin types only: no code of users runs in here. */
        message = message_load(board->state, board->hive, &loan);
        task = message ? task_of(message) : -1;
        if (task < 0) {
                skep_queue_give_back(&loan); /* damaged: it would come again for ever */
                Py_XDECREF(message);
                return NULL;
        }
        if (board_take(&board->board, (uint64_t)place, task, &loan))
                return message;
        Py_DECREF(message);
        Py_RETURN_NONE;
}

static PyObject *board_get_reference(PyObject *self, void *unused)
{
        skep_block block;

        (void)unused;
        if (place_from(self, 0) < 0)
                return NULL;
        block = skep_value_reference(as_board(self)->words);
        return Py_BuildValue("(KK)", (unsigned long long)block.offset, (unsigned long long)block.serial);
}

static PyObject *board_get_hive(PyObject *self, void *unused)
{
        (void)unused;
        if (place_from(self, 0) < 0)
                return NULL;
        Py_INCREF(as_object(self)->hive);
        return as_object(self)->hive;
}

static PyMethodDef board_methods[] = {
        {"take", board_take_task, METH_VARARGS, take_doc},
        {"revoke", board_revoke_task, METH_O, revoke_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef board_getset[] = {
        {"reference", board_get_reference, NULL, "(offset, serial) of the board in its hive.", NULL},
        {"hive", board_get_hive, NULL, "The hive that the board lies in.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(board_doc, "Board(hive, places, revoked, reference=...)\n--\n\nWhich worker has which task; with a reference, that board.");

static PyType_Slot board_slots[] = {
        {Py_tp_doc, (void *)board_doc},
        {Py_tp_new, (void *)board_new},
        {Py_tp_init, (void *)board_init},
        {Py_tp_dealloc, (void *)board_dealloc},
        {Py_tp_methods, board_methods},
        {Py_tp_getset, board_getset},
        {Py_sq_length, (void *)board_length},
        {Py_sq_item, (void *)board_item},
        {Py_sq_ass_item, (void *)board_set_item},
        {0, NULL},
};

PyType_Spec board_spec = {
        .name = "skep._core.Board",
        .basicsize = sizeof(struct board_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = board_slots,
};
