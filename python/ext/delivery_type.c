/* SPDX-License-Identifier: Apache-2.0 */
/*
 * delivery_type.c - skep._core.Delivery: an object that was taken from a queue and is to be acknowledged
 *
 * One that nobody can acknowledge any more, because the last reference to it has gone, is rejected.  A forked child has the
 * Python object, not the delivery.
 */
#include "state.h"

#include <errno.h>
#include <unistd.h>

struct delivery_object {
        PyObject_HEAD
        PyObject *queue;
        PyObject *object;
        PyObject *error; /* why a dead letter could not be loaded; None */
        struct skep_loan loan;
        pid_t pid;
        bool open;
};

static struct delivery_object *as_delivery(PyObject *self)
{
        return (struct delivery_object *)self;
}

static int delivery_traverse(PyObject *self, visitproc visit, void *arg)
{
        Py_VISIT(Py_TYPE(self));
        Py_VISIT(as_delivery(self)->queue);
        Py_VISIT(as_delivery(self)->object);
        Py_VISIT(as_delivery(self)->error);
        return 0;
}

static int delivery_clear(PyObject *self)
{
        struct delivery_object *delivery = as_delivery(self);

        if (delivery->open && delivery->queue)
                skep_queue_put_back(&delivery->loan);
        delivery->open = false;
        Py_CLEAR(delivery->queue); /* after the loan from it */
        Py_CLEAR(delivery->object);
        Py_CLEAR(delivery->error);
        return 0;
}

static void delivery_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        PyObject_GC_UnTrack(self);
        (void)delivery_clear(self);
        type->tp_free(self);
        Py_DECREF(type);
}

struct borrow_context {
        skep_queue *queue;
        struct skep_loan *loan;
};

static int attempt_borrow(void *pointer, skep_deadline deadline)
{
        struct borrow_context *context = pointer;

        return skep_queue_borrow(context->queue, context->loan, deadline);
}

/* @param patience  NULL: a dead letter, if there is one now */
static PyObject *deliver(PyTypeObject *type, PyObject *queue_object, const struct patience *patience)
{
        struct queue_object *queue = (struct queue_object *)queue_object;
        struct skep_loan loan;
        struct borrow_context context = {.queue = queue->queue, .loan = &loan};
        struct delivery_object *delivery;
        PyObject *self;
        int result;

        if (!context.queue || queue->closed) {
                PyErr_Format(PyExc_ValueError, "Queue %R is closed", queue_object);
                return NULL;
        }
        if (!skep_queue_acknowledges(context.queue)) {
                PyErr_SetString(PyExc_ValueError, "nothing is acknowledged in this queue: it was not made with acknowledge=True");
                return NULL;
        }
        self = type->tp_alloc(type, 0);
        if (!self)
                return NULL;
        queue->used = true;
        result = patience ? wait_for(attempt_borrow, &context, patience, hive_is_remote(queue->hive)) : skep_queue_borrow_dead(context.queue, &loan);
        if (result != 0) {
                Py_DECREF(self);
                if (result == -ETIMEDOUT)
                        PyErr_SetNone(queue->state->empty);
                else if (result == -ESHUTDOWN)
                        PyErr_Format(PyExc_ValueError, "Queue %R is closed", queue_object);
                else
                        raise_result(queue->state, result, NULL, 0);
                return NULL;
        }
        delivery = as_delivery(self);
        Py_INCREF(queue_object);
        delivery->queue = queue_object;
        delivery->loan = loan;
        delivery->pid = getpid();
        delivery->open = true;
        delivery->object = message_load(queue->state, queue->hive, &loan);
        if (!delivery->object) {
                PyObject *kind, *value, *traceback;

                if (patience || !PyErr_ExceptionMatches(PyExc_Exception)) {
                        Py_DECREF(self); /* rejected */
                        return NULL;
                }
                PyErr_Fetch(&kind, &value, &traceback);
                PyErr_NormalizeException(&kind, &value, &traceback);
                Py_XDECREF(kind);
                Py_XDECREF(traceback);
                delivery->error = value;
                Py_INCREF(Py_None);
                delivery->object = Py_None;
        }
        return self;
}

PyDoc_STRVAR(take_doc, "take(queue, block=True, timeout=None)\n--\n\n"
                       "Wait for an object and take it until it is acknowledged.  queue.Empty at the timeout; ValueError: closed.  What pickle\n"
                       "raises is raised here, and the message rejected.");
static PyObject *delivery_take(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        PyObject *queue, *block = NULL, *timeout = NULL;
        struct patience patience;

        if (!state || !PyArg_ParseTuple(args, "O!|OO:take", state->queue_type, &queue, &block, &timeout) || patience_from(block, timeout, &patience) < 0)
                return NULL;
        return deliver((PyTypeObject *)type, queue, &patience);
}

PyDoc_STRVAR(take_dead_doc, "take_dead(queue)\n--\n\nA dead letter; queue.Empty: there is none now.");
static PyObject *delivery_take_dead(PyObject *type, PyObject *queue)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);

        if (!state)
                return NULL;
        if (!PyObject_TypeCheck(queue, state->queue_type)) {
                PyErr_SetString(PyExc_TypeError, "take_dead() takes a Queue");
                return NULL;
        }
        return deliver((PyTypeObject *)type, queue, NULL);
}

static PyObject *finish(PyObject *self, void (*end)(struct skep_loan *loan))
{
        struct delivery_object *delivery = as_delivery(self);

        if (delivery->pid != getpid()) {
                PyErr_Format(PyExc_RuntimeError, "it was delivered to process %ld", (long)delivery->pid);
                return NULL;
        }
        if (!delivery->open) {
                PyErr_SetString(PyExc_ValueError, "the delivery has been acknowledged or rejected already");
                return NULL;
        }
        delivery->open = false;
        end(&delivery->loan);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(acknowledge_doc, "acknowledge()\n--\n\nThe object is done with: it will not come again.");
static PyObject *delivery_acknowledge(PyObject *self, PyObject *unused)
{
        (void)unused;
        return finish(self, skep_queue_give_back);
}

PyDoc_STRVAR(reject_doc, "reject()\n--\n\nThe object goes back: it is delivered again, or becomes a dead letter if that was its last try.");
static PyObject *delivery_reject(PyObject *self, PyObject *unused)
{
        (void)unused;
        return finish(self, skep_queue_put_back);
}

static PyObject *delivery_enter(PyObject *self, PyObject *unused)
{
        (void)unused;
        Py_INCREF(self);
        return self;
}

static PyObject *delivery_exit(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
        if (as_delivery(self)->open)
                return finish(self, count && args[0] != Py_None ? skep_queue_put_back : skep_queue_give_back);
        Py_RETURN_NONE;
}

static PyObject *delivery_get(PyObject *self, void *which)
{
        PyObject *value = which ? as_delivery(self)->error : as_delivery(self)->object;

        value = value ? value : Py_None;
        Py_INCREF(value);
        return value;
}

static PyObject *delivery_get_count(PyObject *self, void *unused)
{
        (void)unused;
        return PyLong_FromUnsignedLong(as_delivery(self)->loan.deliveries);
}

static PyObject *delivery_get_open(PyObject *self, void *unused)
{
        (void)unused;
        return PyBool_FromLong(as_delivery(self)->open);
}

static PyMethodDef delivery_methods[] = {
        {"take", delivery_take, METH_VARARGS | METH_CLASS, take_doc},
        {"take_dead", delivery_take_dead, METH_O | METH_CLASS, take_dead_doc},
        {"acknowledge", delivery_acknowledge, METH_NOARGS, acknowledge_doc},
        {"reject", delivery_reject, METH_NOARGS, reject_doc},
        {"__enter__", delivery_enter, METH_NOARGS, NULL},
        {"__exit__", (PyCFunction)(void (*)(void))delivery_exit, METH_FASTCALL, NULL},
        {NULL, NULL, 0, NULL},
};

static char is_error;

static PyGetSetDef delivery_getset[] = {
        {"object", delivery_get, NULL, "What was put.", NULL},
        {"error", delivery_get, NULL, "Why a dead letter could not be loaded, or None.", &is_error},
        {"count", delivery_get_count, NULL, "Which try this is, from 1 on.", NULL},
        {"open", delivery_get_open, NULL, "Neither acknowledged nor rejected yet.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(delivery_doc, "An object that was taken and is to be acknowledged: by acknowledge(), or at the end of a `with`, which rejects it on\n"
                           "an exception.  It goes back by itself when this process ends, or when nobody refers to the Delivery any more.");

/* Not by a flag, which Python 3.9 does not have. */
static PyObject *delivery_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        (void)args;
        (void)kwargs;
        PyErr_Format(PyExc_TypeError, "%s is made by take()", type->tp_name);
        return NULL;
}

static PyType_Slot delivery_slots[] = {
        {Py_tp_doc, (void *)delivery_doc},
        {Py_tp_new, (void *)delivery_new},
        {Py_tp_dealloc, (void *)delivery_dealloc},
        {Py_tp_traverse, (void *)delivery_traverse},
        {Py_tp_clear, (void *)delivery_clear},
        {Py_tp_methods, delivery_methods},
        {Py_tp_getset, delivery_getset},
        {0, NULL},
};

PyType_Spec delivery_spec = {
        .name = "skep._core.Delivery",
        .basicsize = sizeof(struct delivery_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
        .slots = delivery_slots,
};
