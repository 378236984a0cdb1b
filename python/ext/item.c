/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item.c - Python objects <-> items of containers (item.h)
 *
 * A key that is no plain number, text or bytes is a PICKLE:
 *
 *   struct key_head            format byte 2; what it is compared as, and how long that is
 *   what it is compared as     an INTEGER or FLOAT of 8 bytes, TEXT, BYTES; or PICKLE: the canonical form of its value, below
 *   the pickle of the key      so that it comes back as it was; not there in a key that is only looked up
 *
 * The library compares and hashes such a pickle by the part in the middle (skep_item_equal()).  Canonical form, a byte and:
 *
 *   N nothing            None                  t count items       tuple
 *   i 8 bytes            integers              l count items       list, inside others only
 *   f 8 bytes            other floats          z count items       set and frozenset, in the order of their bytes
 *   I length hex         larger integers       d count items       dict, keys and values in turn, in the order of the keys' bytes
 *   c 16 bytes           complex numbers       o count items       what simplify_key() makes of other objects
 *   s, b length bytes    str, bytes
 *
 * A number has one form, whatever its type: 1, 1.0 and True are `i`; integers beyond 64 bits that are a float are `f`.
 */
#include "item.h"

#include <errno.h>
#include <string.h>

/* --- canonical form of keys --- */

struct key_head {
        uint8_t format;
        uint8_t kind; /* enum skep_item_kind */
        uint8_t reserved[2];
        uint32_t bytes; /* of what it is compared as */
};
#define FORMAT_KEY 2

struct writer {
        uint8_t *data;
        size_t bytes, capacity;
};

static int append(struct writer *writer, const void *data, size_t bytes)
{
        if (bytes > writer->capacity - writer->bytes) {
                size_t capacity = 2 * writer->capacity + bytes + 64;
                uint8_t *grown = PyMem_Realloc(writer->data, capacity);

                if (!grown) {
                        PyErr_NoMemory();
                        return -1;
                }
                writer->data = grown;
                writer->capacity = capacity;
        }
        if (bytes)
                memcpy(writer->data + writer->bytes, data, bytes);
        writer->bytes += bytes;
        return 0;
}

static int append_tagged(struct writer *writer, char tag, const void *data, size_t bytes)
{
        return append(writer, &tag, 1) < 0 ? -1 : append(writer, data, bytes);
}

static int append_sized(struct writer *writer, char tag, const void *data, size_t bytes)
{
        uint64_t length = bytes;

        return append_tagged(writer, tag, &length, sizeof length) < 0 ? -1 : append(writer, data, bytes);
}

/* Integers have the form of the float that they are. */
static int write_float(struct writer *writer, double number)
{
        if (number >= -0x1p63 && number < 0x1p63 && number == (double)(int64_t)number) {
                int64_t integer = (int64_t)number;

                return append_tagged(writer, 'i', &integer, sizeof integer);
        }
        return append_tagged(writer, 'f', &number, sizeof number);
}

/* An integer beyond 64 bits. */
static int write_large(struct writer *writer, PyObject *object)
{
        double number = PyLong_AsDouble(object);
        PyObject *text, *same;
        int equal, failed;

        if (number == -1.0 && PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_OverflowError))
                        return -1;
                PyErr_Clear();
        } else {
                same = PyLong_FromDouble(number);
                equal = same ? PyObject_RichCompareBool(object, same, Py_EQ) : -1;
                Py_XDECREF(same);
                if (equal)
                        return equal < 0 ? -1 : append_tagged(writer, 'f', &number, sizeof number);
        }
        text = PyNumber_ToBase(object, 16);
        failed = text ? append_sized(writer, 'I', PyUnicode_1BYTE_DATA(text), (size_t)PyUnicode_GET_LENGTH(text)) : -1;
        Py_XDECREF(text);
        return failed;
}

static int write_integer(struct writer *writer, PyObject *object)
{
        int overflow;
        int64_t integer = PyLong_AsLongLongAndOverflow(object, &overflow);

        return overflow ? write_large(writer, object) : append_tagged(writer, 'i', &integer, sizeof integer);
}

static int write_complex(struct writer *writer, PyObject *object)
{
        Py_complex number = PyComplex_AsCComplex(object);

        if (number.imag == 0)
                return write_float(writer, number.real);
        number.real += 0.0; /* -0.0 is 0.0 */
        return append_tagged(writer, 'c', &number, sizeof number);
}

static int write_text(struct writer *writer, PyObject *object)
{
        PyObject *bytes = PyUnicode_AsEncodedString(object, "utf-8", "surrogatepass");
        int failed = bytes ? append_sized(writer, 's', PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes)) : -1;

        Py_XDECREF(bytes);
        return failed;
}

static int write_canonical(struct core_state *state, struct writer *writer, PyObject *object);

static int write_sequence(struct core_state *state, struct writer *writer, char tag, PyObject *sequence)
{
        bool is_tuple = PyTuple_CheckExact(sequence);
        uint64_t count = (uint64_t)(is_tuple ? PyTuple_GET_SIZE(sequence) : PyList_GET_SIZE(sequence));

        if (append_tagged(writer, tag, &count, sizeof count) < 0)
                return -1;
        for (Py_ssize_t i = 0; i < (Py_ssize_t)count; i++) {
                PyObject *item;
                int failed;

                if (!is_tuple && i >= PyList_GET_SIZE(sequence)) {
                        PyErr_SetString(PyExc_RuntimeError, "a list in a key changed meanwhile");
                        return -1;
                }
                item = is_tuple ? PyTuple_GET_ITEM(sequence, i) : PyList_GET_ITEM(sequence, i);
                Py_INCREF(item); /* code of its type runs */
                failed = write_canonical(state, writer, item);
                Py_DECREF(item);
                if (failed < 0)
                        return -1;
        }
        return 0;
}

/* Items of a set, or pairs of a dict, each as bytes, sorted. */
static int write_unordered(struct core_state *state, struct writer *writer, char tag, PyObject *members)
{
        PyObject *list = PyList_New(0), *iterator = PyObject_GetIter(members), *member;
        uint64_t count;
        int failed = list && iterator ? 0 : -1;

        while (!failed && (member = PyIter_Next(iterator))) {
                struct writer one = {0};
                PyObject *bytes = NULL;

                if (write_canonical(state, &one, member) == 0)
                        bytes = PyBytes_FromStringAndSize((char *)one.data, (Py_ssize_t)one.bytes);
                failed = bytes ? PyList_Append(list, bytes) : -1;
                Py_XDECREF(bytes);
                PyMem_Free(one.data);
                Py_DECREF(member);
        }
        if (!failed && (PyErr_Occurred() || PyList_Sort(list) < 0))
                failed = -1;
        count = failed ? 0 : (uint64_t)PyList_GET_SIZE(list);
        if (!failed)
                failed = append_tagged(writer, tag, &count, sizeof count);
        for (Py_ssize_t i = 0; !failed && i < (Py_ssize_t)count; i++)
                failed = append(writer, PyBytes_AS_STRING(PyList_GET_ITEM(list, i)), (size_t)PyBytes_GET_SIZE(PyList_GET_ITEM(list, i)));
        Py_XDECREF(iterator);
        Py_XDECREF(list);
        return failed;
}

static int write_dict(struct core_state *state, struct writer *writer, PyObject *dict)
{
        PyObject *pairs = PyDict_Items(dict);
        int failed = pairs ? write_unordered(state, writer, 'd', pairs) : -1;

        Py_XDECREF(pairs);
        return failed;
}

static int write_other(struct core_state *state, struct writer *writer, PyObject *object)
{
        PyObject *simple = state->simplify_key ? PyObject_CallOneArg(state->simplify_key, object) : NULL;
        int failed = -1;

        if (simple && PyList_CheckExact(simple))
                failed = write_sequence(state, writer, 'o', simple);
        else if (simple && Py_TYPE(simple) != Py_TYPE(object))
                failed = write_canonical(state, writer, simple);
        else if (!PyErr_Occurred())
                PyErr_Format(PyExc_TypeError, "no key can be made of an object of type %.100s", Py_TYPE(object)->tp_name);
        Py_XDECREF(simple);
        return failed;
}

static int write_canonical(struct core_state *state, struct writer *writer, PyObject *object)
{
        int failed;

        if (object == Py_None)
                return append(writer, "N", 1);
        if (PyLong_CheckExact(object) || PyBool_Check(object))
                return write_integer(writer, object);
        if (PyFloat_CheckExact(object))
                return write_float(writer, PyFloat_AS_DOUBLE(object));
        if (PyComplex_CheckExact(object))
                return write_complex(writer, object);
        if (PyUnicode_CheckExact(object))
                return write_text(writer, object);
        if (PyBytes_CheckExact(object))
                return append_sized(writer, 'b', PyBytes_AS_STRING(object), (size_t)PyBytes_GET_SIZE(object));
        if (Py_EnterRecursiveCall(" in a key"))
                return -1;
        if (PyTuple_CheckExact(object))
                failed = write_sequence(state, writer, 't', object);
        else if (PyList_CheckExact(object))
                failed = write_sequence(state, writer, 'l', object);
        else if (PyAnySet_CheckExact(object))
                failed = write_unordered(state, writer, 'z', object);
        else if (PyDict_CheckExact(object))
                failed = write_dict(state, writer, object);
        else
                failed = write_other(state, writer, object);
        Py_LeaveRecursiveCall();
        return failed;
}

/* What the canonical form at @at is compared as, and where that begins. */
static struct key_head head_of(const struct writer *writer, size_t at, size_t *ret_from)
{
        static const struct {
                char tag;
                uint8_t kind, skip;
        } plain[] = {{'N', SKEP_ITEM_NONE, 1}, {'i', SKEP_ITEM_INTEGER, 1}, {'f', SKEP_ITEM_FLOAT, 1}, {'s', SKEP_ITEM_TEXT, 9}, {'b', SKEP_ITEM_BYTES, 9}};
        struct key_head head = {.format = FORMAT_KEY, .kind = SKEP_ITEM_PICKLE};

        *ret_from = at;
        for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
                if (writer->data[at] == plain[i].tag) {
                        head.kind = plain[i].kind;
                        *ret_from = at + plain[i].skip;
                }
        head.bytes = (uint32_t)(writer->bytes - *ret_from);
        return head;
}

/* --- from an object --- */

static struct skep_item item_of_data(enum skep_item_kind kind, PyObject *bytes)
{
        return skep_item_of_bytes(kind, PyBytes_AS_STRING(bytes), (size_t)PyBytes_GET_SIZE(bytes));
}

int item_is_plain(PyObject *object, struct skep_item *ret_item)
{
        if (PyUnicode_CheckExact(object)) {
                Py_ssize_t bytes;
                const char *text = PyUnicode_AsUTF8AndSize(object, &bytes);

                if (!text) {
                        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
                                return -1;
                        PyErr_Clear(); /* surrogates */
                        return 0;
                }
                *ret_item = skep_item_of_bytes(SKEP_ITEM_TEXT, text, (size_t)bytes);
                return 1;
        }
        if (PyLong_CheckExact(object)) {
                int overflow;

                *ret_item = skep_item_integer(PyLong_AsLongLongAndOverflow(object, &overflow));
                return !overflow;
        }
        if (PyFloat_CheckExact(object)) {
                *ret_item = skep_item_float(PyFloat_AS_DOUBLE(object));
                return 1;
        }
        if (PyBytes_CheckExact(object)) {
                *ret_item = item_of_data(SKEP_ITEM_BYTES, object);
                return 1;
        }
        if (object == Py_None || PyBool_Check(object)) {
                *ret_item = object == Py_None ? skep_item_none() : skep_item_bool(object == Py_True);
                return 1;
        }
        return 0;
}

/* The reference of a container that lies in the same hive. @return 1; 0; -1 with an exception */
static int nested_item(struct core_state *state, PyObject *hive, PyObject *object, struct skep_item *ret_item)
{
        PyObject *reference, *its_hive;
        unsigned long long offset, serial;
        int result = 0;

        if (!state->nested || hive == Py_None || !PyDict_GetItemWithError(state->nested, (PyObject *)Py_TYPE(object)))
                return PyErr_Occurred() ? -1 : 0;
        its_hive = PyObject_GetAttrString(object, "hive");
        if (!its_hive)
                return -1;
        if (its_hive == hive) {
                reference = PyObject_GetAttrString(object, "reference");
                result = reference && PyArg_ParseTuple(reference, "KK", &offset, &serial) ? 1 : -1;
                Py_XDECREF(reference);
        }
        Py_DECREF(its_hive);
        if (result > 0)
                *ret_item = skep_item_object((skep_block){.offset = offset, .serial = serial});
        return result;
}

/* @return 0; -1 with an exception */
static int pickled_item(struct core_state *state, skep_hive *hive, PyObject *object, struct given *given)
{
        bool is_remote = hive && skep_hive_is_remote(hive); /* references do not travel */

        if (pickle_item(state, is_remote ? NULL : hive, object, &given->packed) < 0)
                return -1;
        given->item = item_of_data(SKEP_ITEM_PICKLE, given->packed.bytes);
        given->item.references = given->packed.references;
        given->item.reference_count = (uint32_t)given->packed.reference_count;
        return 0;
}

int item_from(struct core_state *state, PyObject *hive, PyObject *object, struct given *ret_given)
{
        skep_hive *handle = NULL;
        int result;

        *ret_given = (struct given){0};
        result = item_is_plain(object, &ret_given->item);
        if (result == 0 && hive != Py_None && !(handle = hive_handle(state, hive)))
                return -1;
        if (result == 0)
                result = nested_item(state, hive, object, &ret_given->item);
        if (result == 0 && handle && !hive_is_remote(hive) && (result = message_share_array(state, handle, object, &ret_given->array)) > 0)
                ret_given->item = skep_item_array(ret_given->array);
        if (result == 0)
                return pickled_item(state, handle, object, ret_given);
        if (result < 0)
                return -1;
        Py_INCREF(object);
        ret_given->owner = object;
        return 0;
}

/* Behind what is compared already stands in @writer. */
static int write_original(struct core_state *state, skep_hive *hive, PyObject *object, struct writer *writer, struct given *given)
{
        size_t bytes;
        const void *data;

        if (pickled_item(state, hive, object, given) < 0)
                return -1;
        data = skep_item_data(&given->item, &bytes);
        return append(writer, data, bytes);
}

int key_from(struct core_state *state, PyObject *hive, PyObject *object, bool lookup, struct given *ret_given)
{
        struct writer writer = {0};
        struct key_head head;
        skep_hive *handle = NULL;
        size_t from;
        int result;

        *ret_given = (struct given){0};
        result = item_is_plain(object, &ret_given->item);
        if (result > 0) {
                Py_INCREF(object);
                ret_given->owner = object;
                return 0;
        }
        if (result < 0 || PyObject_Hash(object) == -1 || (hive != Py_None && !(handle = hive_handle(state, hive))))
                return -1;
        /* Room for the head, and where the form has a tag and a length that are not compared, in front of it. */
        if (append(&writer, &(const uint64_t[3]){0}, 24) == 0 && write_canonical(state, &writer, object) == 0) {
                head = head_of(&writer, 24, &from);
                memcpy(writer.data + from - sizeof head, &head, sizeof head);
                from -= sizeof head;
                if (lookup || write_original(state, handle, object, &writer, ret_given) == 0) {
                        const struct packed *packed = &ret_given->packed;

                        ret_given->memory = writer.data;
                        ret_given->item = skep_item_of_bytes(SKEP_ITEM_PICKLE, writer.data + from, writer.bytes - from);
                        ret_given->item.references = packed->references;
                        ret_given->item.reference_count = (uint32_t)packed->reference_count;
                        return 0;
                }
        }
        PyMem_Free(writer.data);
        return -1;
}

void given_end(struct given *given)
{
        packed_end(&given->packed);
        skep_array_unref(given->array);
        PyMem_Free(given->memory);
        Py_XDECREF(given->owner);
        *given = (struct given){0};
}

/* --- to an object --- */

static PyObject *load_pickle(struct core_state *state, PyObject *hive, const struct skep_item *item)
{
        struct skep_loan loan = {.kind = SKEP_MESSAGE_PICKLE};
        const uint8_t *data = skep_item_data(item, &loan.bytes);
        struct key_head head;

        if (loan.bytes > sizeof head && data[0] == FORMAT_KEY) {
                memcpy(&head, data, sizeof head);
                if (head.bytes > loan.bytes - sizeof head)
                        return raise_result(state, -EBADMSG, NULL, 0);
                data += sizeof head + head.bytes;
                loan.bytes -= sizeof head + head.bytes;
        }
        loan.data = (void *)(uintptr_t)data;
        return pickle_load(state, hive, &loan);
}

static PyObject *load_nested(struct core_state *state, PyObject *hive, const struct skep_item *item)
{
        skep_hive *handle = hive_handle(state, hive);
        const char *kind = handle && !hive_is_remote(hive) ? skep_object_kind(handle, item->object) : NULL;
        PyObject *how = kind && state->nested ? PyDict_GetItemString(state->nested, kind) : NULL;
        PyObject *reference, *object = NULL;

        if (!handle)
                return NULL;
        if (!kind)
                return raise_result(state, hive_is_remote(hive) ? -ENOTSUP : -ESTALE, NULL, 0);
        if (!how) {
                PyErr_Format(PyExc_TypeError, "an object of kind '%s' cannot be got here", kind);
                return NULL;
        }
        reference = Py_BuildValue("(KK)", (unsigned long long)item->object.offset, (unsigned long long)item->object.serial);
        if (reference)
                object = PyObject_CallFunction(PyTuple_GET_ITEM(how, 1), "OOO()O", PyTuple_GET_ITEM(how, 0), hive, reference, Py_None);
        Py_XDECREF(reference);
        return object;
}

static PyObject *load(struct core_state *state, PyObject *hive, const struct skep_item *item)
{
        size_t bytes;
        const void *data = skep_item_data(item, &bytes);
        PyObject *object;

        switch (item->kind) {
        case SKEP_ITEM_NONE:
                Py_RETURN_NONE;
        case SKEP_ITEM_BOOL:
                return PyBool_FromLong(item->integer != 0);
        case SKEP_ITEM_INTEGER:
                return PyLong_FromLongLong(item->integer);
        case SKEP_ITEM_FLOAT:
                return PyFloat_FromDouble(item->real);
        case SKEP_ITEM_TEXT:
                return PyUnicode_DecodeUTF8(data, (Py_ssize_t)bytes, NULL);
        case SKEP_ITEM_BYTES:
        case SKEP_ITEM_MSGPACK:
                object = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
                if (object)
                        copy_bytes(PyBytes_AS_STRING(object), data, bytes);
                return object;
        case SKEP_ITEM_PICKLE:
                return load_pickle(state, hive, item);
        case SKEP_ITEM_ARRAY:
                return message_show_array(state, hive, skep_array_ref(item->array));
        case SKEP_ITEM_OBJECT:
                return load_nested(state, hive, item);
        default:
                return raise_result(state, -EBADMSG, NULL, 0);
        }
}

PyObject *item_load(struct core_state *state, PyObject *hive, struct skep_item *item)
{
        PyObject *object = load(state, hive, item);

        skep_item_clear(item);
        return object;
}

/* --- what the package around says --- */

PyObject *item_nested_as(PyObject *module, PyObject *args)
{
        struct core_state *state = state_of_module(module);
        PyObject *kind, *type, *attach, *how;
        int failed;

        if (!PyArg_ParseTuple(args, "UO!O:nested_as", &kind, &PyType_Type, &type, &attach))
                return NULL;
        if (!state->nested && !(state->nested = PyDict_New()))
                return NULL;
        how = PyTuple_Pack(2, type, attach);
        failed = !how || PyDict_SetItem(state->nested, kind, how) < 0 || PyDict_SetItem(state->nested, type, kind) < 0;
        Py_XDECREF(how);
        if (failed)
                return NULL;
        Py_RETURN_NONE;
}

PyObject *item_keys_with(PyObject *module, PyObject *function)
{
        struct core_state *state = state_of_module(module);

        Py_INCREF(function);
        Py_XSETREF(state->simplify_key, function);
        Py_RETURN_NONE;
}
