/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_type.c - skep._core.Queue: put, get and what they wait for
 *
 * close() is multiprocessing's: this process does no more with the queue.  shutdown() is the core's close: nobody puts any
 * more, and gets fail when the queue is drained.
 */
#include "state.h"

#include <errno.h>

static struct queue_object *as_queue(PyObject *self)
{
        return (struct queue_object *)self;
}

static PyObject *queue_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
        struct core_state *state = state_of_type(type);
        PyObject *self;

        (void)args;
        (void)kwargs;
        if (!state)
                return NULL;
        self = type->tp_alloc(type, 0);
        if (self)
                as_queue(self)->state = state;
        return self;
}

/* The one place where an instance gets its handle. @param queue  taken */
static void adopt(PyObject *self, PyObject *hive, skep_queue *queue)
{
        Py_INCREF(hive);
        as_queue(self)->hive = hive;
        as_queue(self)->queue = queue;
}

static int queue_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
        static char *keywords[] = {"hive", "maxsize", "name", "acknowledge", "deliveries", NULL};
        struct core_state *state = as_queue(self)->state;
        const char *name = NULL;
        PyObject *hive_object;
        Py_ssize_t maxsize = 0, deliveries = 0;
        int acknowledge = 0;
        skep_queue *queue;
        skep_hive *hive;
        int result;

        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|nzpn:Queue", keywords, &hive_object, &maxsize, &name, &acknowledge, &deliveries))
                return -1;
        if (deliveries < 0 || deliveries > UINT16_MAX || (deliveries && !acknowledge)) {
                PyErr_SetString(PyExc_ValueError, "deliveries is a number up to 65535, for a queue with acknowledge=True");
                return -1;
        }
        if (as_queue(self)->queue) {
                PyErr_SetString(PyExc_RuntimeError, "the queue has been made already");
                return -1;
        }
        hive = hive_handle(state, hive_object);
        if (!hive)
                return -1;
        /* 2**31 - 1 is what multiprocessing takes for "no limit". */
        result = skep_queue_create(hive, (&(const struct skep_queue_options){
                                                 .options_bytes = sizeof(struct skep_queue_options),
                                                 .name = name,
                                                 .capacity = maxsize > 0 && maxsize < INT32_MAX ? (uint64_t)maxsize : 0,
                                                 .flags = acknowledge ? SKEP_QUEUE_ACKNOWLEDGE : 0,
                                                 .delivery_max = (uint32_t)deliveries,
                                         }), &queue);
        if (result < 0) {
                raise_result(state, result, hive, 0);
                return -1;
        }
        adopt(self, hive_object, queue);
        return 0;
}

static void queue_dealloc(PyObject *self)
{
        PyTypeObject *type = Py_TYPE(self);

        skep_queue_unref(as_queue(self)->queue);
        Py_XDECREF(as_queue(self)->hive); /* after the handle that lives in it */
        type->tp_free(self);
        Py_DECREF(type);
}

/* An instance of @type for a handle that is there already; __init__ would make a new queue. @param queue  taken */
static PyObject *queue_wrap(PyTypeObject *type, PyObject *hive, skep_queue *queue)
{
        PyObject *self = queue_new(type, NULL, NULL);

        if (!self) {
                skep_queue_unref(queue);
                return NULL;
        }
        adopt(self, hive, queue);
        return self;
}

PyDoc_STRVAR(attach_doc, "attach(hive, offset, serial)\n--\n\nThe queue behind a reference.  GoneError: nobody held it any more.");
static PyObject *queue_attach(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        unsigned long long offset, serial;
        PyObject *hive_object;
        skep_queue *queue;
        skep_hive *hive;
        int result;

        if (!state || !PyArg_ParseTuple(args, "OKK:attach", &hive_object, &offset, &serial))
                return NULL;
        hive = hive_handle(state, hive_object);
        if (!hive)
                return NULL;
        result = skep_queue_attach(hive, (skep_block){.offset = offset, .serial = serial}, &queue);
        if (result < 0)
                return raise_result(state, result, hive, 0);
        return queue_wrap((PyTypeObject *)type, hive_object, queue);
}

PyDoc_STRVAR(open_doc, "open(hive, name)\n--\n\nThe queue of that name.  FileNotFoundError: there is none.");
static PyObject *queue_open(PyObject *type, PyObject *args)
{
        struct core_state *state = state_of_type((PyTypeObject *)type);
        PyObject *hive_object;
        const char *name;
        skep_queue *queue;
        skep_hive *hive;
        int result;

        if (!state || !PyArg_ParseTuple(args, "Os:open", &hive_object, &name))
                return NULL;
        hive = hive_handle(state, hive_object);
        if (!hive)
                return NULL;
        ASK(hive_object, result, skep_queue_open(hive, name, &queue));
        if (result < 0)
                return raise_result(state, result, hive, 0);
        return queue_wrap((PyTypeObject *)type, hive_object, queue);
}

/* --- arguments --- */

static skep_queue *made_handle(PyObject *self)
{
        if (!as_queue(self)->queue)
                PyErr_SetString(PyExc_ValueError, "the queue was not made: __init__() was not called");
        return as_queue(self)->queue;
}

static void *raise_closed(PyObject *self)
{
        PyErr_Format(PyExc_ValueError, "Queue %R is closed", self);
        return NULL;
}

/* The handle, if this process may still put and get. */
static skep_queue *open_handle(PyObject *self)
{
        skep_queue *queue = made_handle(self);

        if (queue && as_queue(self)->closed)
                return raise_closed(self);
        return queue;
}

/* --- put --- */

static int put_one(PyObject *self, PyObject *object, enum copying copying, const struct patience *patience)
{
        struct queue_object *queue = as_queue(self);
        skep_queue *handle = open_handle(self);

        if (!handle)
                return -1;
        queue->used = true;
        if (message_put(queue->state, handle, queue->hive, object, copying, patience) == 0)
                return 0;
        if (skep_queue_is_closed(handle) && PyErr_ExceptionMatches(PyExc_ValueError)) {
                PyErr_Clear();
                raise_closed(self);
        }
        return -1;
}

PyDoc_STRVAR(put_doc, "put(obj, block=True, timeout=None, *, copy=None)\n--\n\n"
                      "Append an object.  Waits while the queue is full, at most timeout seconds (None: for ever), then queue.Full.\n"
                      "ValueError: closed.  MemoryError: the hive is full.  What pickle raises is raised here, and nothing is put.\n\n"
                      "copy=None: arrays born in the queue's hive are shared, all else is copied, once.  copy=True: the receiver gets memory\n"
                      "of his own in any case.  copy=False: ValueError or TypeError if anything but the description would be copied.");
static PyObject *queue_put(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};
        enum copying copying = COPY_IF_NEEDED;
        PyObject *object;

        if (count == 1 && !names) {
                object = args[0];
        } else if (count >= 1) {
                object = args[0];
                if (parse_put(as_queue(self)->state, "put", args, count, names, 1, &patience, &copying) < 0)
                        return NULL;
        } else {
                /* put(obj=...) is rare, and block and timeout may come before it. */
                static char *keywords[] = {"obj", "block", "timeout", "copy", NULL};
                PyObject *block = NULL, *timeout = NULL, *copy = NULL, *dict = PyDict_New(), *none = dict ? PyTuple_New(0) : NULL;
                int parsed = none != NULL;

                for (Py_ssize_t i = 0; parsed && names && i < PyTuple_GET_SIZE(names); i++)
                        parsed = PyDict_SetItem(dict, PyTuple_GET_ITEM(names, i), args[i]) == 0;
                parsed = parsed && PyArg_ParseTupleAndKeywords(none, dict, "O|OO$O:put", keywords, &object, &block, &timeout, &copy) &&
                         copying_from(copy, &copying) == 0 &&
                         patience_from(block, timeout, &patience) == 0;
                Py_XDECREF(none);
                Py_XDECREF(dict); /* the caller's arguments hold the object */
                if (!parsed)
                        return NULL;
        }
        if (put_one(self, object, copying, &patience) < 0)
                return NULL;
        Py_RETURN_NONE;
}

PyDoc_STRVAR(put_nowait_doc, "put_nowait(obj)\n--\n\nput(obj, block=False).");
static PyObject *queue_put_nowait(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        const struct patience patience = {.deadline = skep_nowait()};
        PyObject *object = parse_object("put_nowait", args, count, names);

        if (!object || put_one(self, object, COPY_IF_NEEDED, &patience) < 0)
                return NULL;
        Py_RETURN_NONE;
}

#define RUN_MAX 256

struct run_context {
        skep_queue *queue;
        const struct skep_bytes *messages;
        size_t count;
        size_t done;
};

static int attempt_run(void *pointer, skep_deadline deadline)
{
        struct run_context *context = pointer;
        size_t done = 0;
        int result = skep_queue_put_many(context->queue, context->messages + context->done, context->count - context->done, &done, deadline);

        context->done += done;
        return result;
}

/* The bytes objects at the start of @items, as one run. @return how many were put; *@failed with an exception */
static Py_ssize_t put_run(PyObject *self, PyObject *const *items, Py_ssize_t count, const struct patience *patience, bool *failed)
{
        struct skep_bytes messages[RUN_MAX];
        struct run_context context = {.queue = as_queue(self)->queue, .messages = messages};
        uint64_t bytes = 0;
        int result;

        for (; context.count < RUN_MAX && (Py_ssize_t)context.count < count && PyBytes_CheckExact(items[context.count]); context.count++) {
                PyObject *item = items[context.count];

                messages[context.count] = (struct skep_bytes){.data = PyBytes_AS_STRING(item), .bytes = (size_t)PyBytes_GET_SIZE(item)};
                bytes += (uint64_t)PyBytes_GET_SIZE(item);
        }
        result = wait_for(attempt_run, &context, patience, bytes >= COPY_WITHOUT_GIL_BYTES || hive_is_remote(as_queue(self)->hive));
        *failed = result != 0;
        if (result == -ESHUTDOWN)
                raise_closed(self);
        else if (result)
                message_put_failed(as_queue(self)->state, as_queue(self)->queue, result, bytes);
        return (Py_ssize_t)context.done;
}

/* Say in the exception how many items are in the queue. */
static void tell_count(Py_ssize_t count)
{
        PyObject *type, *value, *traceback, *number;

        PyErr_Fetch(&type, &value, &traceback);
        PyErr_NormalizeException(&type, &value, &traceback);
        number = PyLong_FromSsize_t(count);
        if (!number || !value || PyObject_SetAttrString(value, "count", number) < 0)
                PyErr_Clear(); /* the first exception is the one to tell */
        Py_XDECREF(number);
        PyErr_Restore(type, value, traceback);
}

PyDoc_STRVAR(put_many_doc, "put_many(iterable, block=True, timeout=None, *, copy=None)\n--\n\n"
                           "Append the objects in order; returns how many.  Runs of bytes objects are put together, with one wake-up.\n"
                           "On an exception, as put(), its attribute `count` says how many were put.");
static PyObject *queue_put_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        enum copying copying = COPY_IF_NEEDED;
        struct patience patience;
        PyObject *items;
        Py_ssize_t done = 0, length;
        bool failed = false;

        if (parse_put(as_queue(self)->state, "put_many", args, count, names, 1, &patience, &copying) < 0 || !open_handle(self)) {
                tell_count(0);
                return NULL;
        }
        items = PySequence_Tuple(args[0]); /* a tuple of our own: pickling may run code that changes a list */
        if (!items)
                return NULL;
        as_queue(self)->used = true;
        length = PyTuple_GET_SIZE(items);
        while (done < length && !failed) {
                if (PyBytes_CheckExact(PyTuple_GET_ITEM(items, done)) && done + 1 < length && copying != COPY_NEVER) {
                        PyObject *const *first = &PyTuple_GET_ITEM(items, done);

                        done += put_run(self, first, length - done, &patience, &failed);
                } else {
                        failed = put_one(self, PyTuple_GET_ITEM(items, done), copying, &patience) < 0;
                        done += !failed;
                }
        }
        Py_DECREF(items);
        if (failed) {
                tell_count(done);
                return NULL;
        }
        return PyLong_FromSsize_t(done);
}

/* --- get --- */

struct borrow_context {
        skep_queue *queue;
        struct skep_loan *loan;
};

static int attempt_borrow(void *pointer, skep_deadline deadline)
{
        struct borrow_context *context = pointer;

        return skep_queue_borrow(context->queue, context->loan, deadline);
}

/*
 * Borrow, make an object, end the loan.  A message of which pickle can make nothing is taken (it would come again for ever);
 * an interrupt from outside (KeyboardInterrupt, not an Exception) leaves it in the queue, and so does @keep_failed.
 */
static PyObject *get_one(PyObject *self, const struct patience *patience, bool keep_failed)
{
        struct queue_object *queue = as_queue(self);
        struct skep_loan loan;
        struct borrow_context context = {.queue = open_handle(self), .loan = &loan};
        PyObject *object;
        int result;

        if (!context.queue)
                return NULL;
        queue->used = true;
        result = wait_for(attempt_borrow, &context, patience, hive_is_remote(queue->hive));
        if (result == -ETIMEDOUT) {
                PyErr_SetNone(queue->state->empty);
                return NULL;
        }
        if (result == -ESHUTDOWN)
                return raise_closed(self);
        if (result != 0)
                return raise_result(queue->state, result, NULL, 0);
        object = message_load(queue->state, queue->hive, &loan);
        if (object || (!keep_failed && PyErr_ExceptionMatches(PyExc_Exception)))
                skep_queue_give_back(&loan);
        else
                skep_queue_put_back(&loan);
        return object;
}

PyDoc_STRVAR(get_doc, "get(block=True, timeout=None)\n--\n\n"
                      "Take the next object.  Waits while the queue is empty, at most timeout seconds (None: for ever), then queue.Empty.\n"
                      "ValueError: closed.");
static PyObject *queue_get(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        struct patience patience = {.deadline = skep_forever(), .blocks = true};

        if ((count || names) && parse_waiting(as_queue(self)->state, "get", args, count, names, 0, &patience) < 0)
                return NULL;
        return get_one(self, &patience, false);
}

PyDoc_STRVAR(get_nowait_doc, "get_nowait()\n--\n\nget(block=False).");
static PyObject *queue_get_nowait(PyObject *self, PyObject *unused)
{
        const struct patience patience = {.deadline = skep_nowait()};

        (void)unused;
        return get_one(self, &patience, false);
}

PyDoc_STRVAR(get_many_doc, "get_many(max, block=True, timeout=None)\n--\n\n"
                           "Wait for one object as get() does, then take what is there, at most max; a list.");
static PyObject *queue_get_many(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
        const struct patience nowait = {.deadline = skep_nowait()};
        struct patience patience;
        PyObject *list;
        Py_ssize_t max;

        if (parse_waiting(as_queue(self)->state, "get_many", args, count, names, 1, &patience) < 0)
                return NULL;
        max = PyNumber_AsSsize_t(args[0], NULL);
        if (max == -1 && PyErr_Occurred())
                return NULL;
        if (max < 1) {
                PyErr_SetString(PyExc_ValueError, "max must be at least 1");
                return NULL;
        }
        list = PyList_New(0);
        while (list && PyList_GET_SIZE(list) < max) {
                bool first = PyList_GET_SIZE(list) == 0;
                PyObject *object = get_one(self, first ? &patience : &nowait, !first);

                if (!object) {
                        /* Those that were taken are returned; what is wrong will be met by the next call. */
                        if (first)
                                Py_CLEAR(list);
                        else if (PyErr_ExceptionMatches(PyExc_Exception))
                                PyErr_Clear();
                        else
                                Py_CLEAR(list);
                        break;
                }
                if (PyList_Append(list, object) < 0)
                        Py_CLEAR(list);
                Py_DECREF(object);
        }
        return list;
}

/* --- state --- */

PyDoc_STRVAR(qsize_doc, "qsize()\n--\n\nNumber of objects in the queue; exact while nobody is at work on it.");
static PyObject *queue_qsize(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        return queue ? PyLong_FromUnsignedLongLong(skep_queue_size(queue)) : NULL;
}

PyDoc_STRVAR(empty_doc, "empty()\n--\n\nWhether the queue is empty just now.  OSError: used and then closed.");
static PyObject *queue_empty(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        if (!queue)
                return NULL;
        if (as_queue(self)->closed && as_queue(self)->used) {
                PyErr_Format(PyExc_OSError, "Queue %R is closed", self);
                return NULL;
        }
        return PyBool_FromLong(skep_queue_is_empty(queue));
}

PyDoc_STRVAR(full_doc, "full()\n--\n\nWhether the queue is full just now.");
static PyObject *queue_full(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        return queue ? PyBool_FromLong(skep_queue_is_full(queue)) : NULL;
}

PyDoc_STRVAR(close_doc, "close()\n--\n\nThis process does no more with the queue: put and get raise ValueError.  Others go on.");
static PyObject *queue_close(PyObject *self, PyObject *unused)
{
        (void)unused;
        as_queue(self)->closed = true;
        Py_RETURN_NONE;
}

PyDoc_STRVAR(shutdown_doc, "shutdown()\n--\n\n"
                           "No more puts, by any process; gets take what is there and then raise ValueError.");
static PyObject *queue_shutdown(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);
        int result;

        (void)unused;
        if (!queue)
                return NULL;
        result = skep_queue_close(queue);
        if (result < 0)
                return raise_result(as_queue(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(fileno_doc, "fileno()\n--\n\n"
                         "Descriptor for select or poll, readable while the queue has objects or is shut down.  Made when first asked for.\n"
                         "It may be readable once too often: then get_nowait() raises queue.Empty.");
static PyObject *queue_fileno(PyObject *self, PyObject *unused)
{
        skep_queue *queue = open_handle(self);
        int fd;

        (void)unused;
        if (!queue)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        fd = skep_queue_fd(queue);
        Py_END_ALLOW_THREADS
        if (fd < 0)
                return raise_result(as_queue(self)->state, fd, NULL, 0);
        /* Who calls fileno() is about to poll: a look at the empty queue makes the descriptor tell the truth. */
        if (skep_queue_is_empty(queue))
                (void)!skep_queue_poll(queue, skep_nowait());
        return PyLong_FromLong(fd);
}

PyDoc_STRVAR(space_fileno_doc, "_space_fileno()\n--\n\nDescriptor that is readable while a put would find space, or the queue is shut down.");
static PyObject *queue_space_fileno(PyObject *self, PyObject *unused)
{
        skep_queue *queue = open_handle(self);
        int fd;

        (void)unused;
        if (!queue)
                return NULL;
        Py_BEGIN_ALLOW_THREADS
        fd = skep_queue_space_fd(queue);
        Py_END_ALLOW_THREADS
        return fd < 0 ? raise_result(as_queue(self)->state, fd, NULL, 0) : PyLong_FromLong(fd);
}

/* --- tasks: JoinableQueue's, under other names, as a Queue has none --- */

PyDoc_STRVAR(task_done_doc, "_task_done()\n--\n\nOne object that was got is done with.  ValueError: all are already.");
static PyObject *queue_task_done(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);
        int result = queue ? skep_queue_task_done(queue) : 0;

        (void)unused;
        if (!queue)
                return NULL;
        if (result == -EOVERFLOW) {
                PyErr_SetString(PyExc_ValueError, "task_done() called too many times");
                return NULL;
        }
        if (result < 0)
                return raise_result(as_queue(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

static int attempt_join(void *pointer, skep_deadline deadline)
{
        return skep_queue_join(pointer, deadline);
}

PyDoc_STRVAR(join_doc, "_join()\n--\n\nWait until all objects that were put are done with.");
static PyObject *queue_join(PyObject *self, PyObject *unused)
{
        const struct patience patience = {.deadline = skep_forever(), .blocks = true};
        skep_queue *queue = made_handle(self);
        int result;

        (void)unused;
        if (!queue)
                return NULL;
        result = wait_for(attempt_join, queue, &patience, hive_is_remote(as_queue(self)->hive));
        if (result != 0)
                return raise_result(as_queue(self)->state, result, NULL, 0);
        Py_RETURN_NONE;
}

PyDoc_STRVAR(unfinished_doc, "_unfinished()\n--\n\nNumber of objects that were put and are not done with.");
static PyObject *queue_unfinished(PyObject *self, PyObject *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        return queue ? PyLong_FromUnsignedLongLong(skep_queue_unfinished(queue)) : NULL;
}

static PyObject *queue_get_closed(PyObject *self, void *unused)
{
        skep_queue *queue = as_queue(self)->queue;

        (void)unused;
        return PyBool_FromLong(as_queue(self)->closed || (queue && skep_queue_is_closed(queue)));
}

static PyObject *queue_get_acknowledges(PyObject *self, void *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        return queue ? PyBool_FromLong(skep_queue_acknowledges(queue)) : NULL;
}

static PyObject *queue_get_maxsize(PyObject *self, void *unused)
{
        skep_queue *queue = made_handle(self);

        (void)unused;
        return queue ? PyLong_FromUnsignedLongLong(skep_queue_capacity(queue)) : NULL;
}

static PyObject *queue_get_reference(PyObject *self, void *unused)
{
        skep_queue *queue = made_handle(self);
        skep_block block;

        (void)unused;
        if (!queue)
                return NULL;
        block = skep_queue_reference(queue);
        return Py_BuildValue("(KK)", (unsigned long long)block.offset, (unsigned long long)block.serial);
}

static PyObject *queue_get_hive(PyObject *self, void *unused)
{
        (void)unused;
        if (!made_handle(self))
                return NULL;
        Py_INCREF(as_queue(self)->hive);
        return as_queue(self)->hive;
}

static PyMethodDef queue_methods[] = {
        {"attach", queue_attach, METH_VARARGS | METH_CLASS, attach_doc},
        {"open", queue_open, METH_VARARGS | METH_CLASS, open_doc},
        {"put", FAST(queue_put), put_doc},
        {"put_nowait", FAST(queue_put_nowait), put_nowait_doc},
        {"put_many", FAST(queue_put_many), put_many_doc},
        {"get", FAST(queue_get), get_doc},
        {"get_nowait", queue_get_nowait, METH_NOARGS, get_nowait_doc},
        {"get_many", FAST(queue_get_many), get_many_doc},
        {"qsize", queue_qsize, METH_NOARGS, qsize_doc},
        {"empty", queue_empty, METH_NOARGS, empty_doc},
        {"full", queue_full, METH_NOARGS, full_doc},
        {"close", queue_close, METH_NOARGS, close_doc},
        {"shutdown", queue_shutdown, METH_NOARGS, shutdown_doc},
        {"fileno", queue_fileno, METH_NOARGS, fileno_doc},
        {"_space_fileno", queue_space_fileno, METH_NOARGS, space_fileno_doc},
        {"_task_done", queue_task_done, METH_NOARGS, task_done_doc},
        {"_join", queue_join, METH_NOARGS, join_doc},
        {"_unfinished", queue_unfinished, METH_NOARGS, unfinished_doc},
        {NULL, NULL, 0, NULL},
};

static PyGetSetDef queue_getset[] = {
        {"closed", queue_get_closed, NULL, "Whether close() was called here or shutdown() anywhere.", NULL},
        {"acknowledges", queue_get_acknowledges, NULL, "Whether what Delivery.take() takes is to be acknowledged.", NULL},
        {"maxsize", queue_get_maxsize, NULL, "Objects that fit; 0: no limit.", NULL},
        {"reference", queue_get_reference, NULL, "(offset, serial) of the queue in its hive.", NULL},
        {"hive", queue_get_hive, NULL, "The hive that the queue lies in.", NULL},
        {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(queue_doc, "Queue(hive, maxsize=0, name=None, acknowledge=False, deliveries=0)\n--\n\n"
                        "A queue in a hive; maxsize 0 or less: no limit.  MemoryError: the hive is full.  With acknowledge=True get() acknowledges\n"
                        "at once; Delivery.take() does not.");

static PyType_Slot queue_slots[] = {
        {Py_tp_doc, (void *)queue_doc},
        {Py_tp_new, (void *)queue_new},
        {Py_tp_init, (void *)queue_init},
        {Py_tp_dealloc, (void *)queue_dealloc},
        {Py_tp_methods, queue_methods},
        {Py_tp_getset, queue_getset},
        {0, NULL},
};

PyType_Spec queue_spec = {
        .name = "skep._core.Queue",
        .basicsize = sizeof(struct queue_object),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
        .slots = queue_slots,
};
