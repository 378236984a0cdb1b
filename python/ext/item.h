/* SPDX-License-Identifier: Apache-2.0 */
/*
 * item.h - Python objects <-> the items that dicts, lists and namespaces hold (skep/item.h)
 *
 *   object                                     item       what a get gives
 *   None, bool, int of 64 bits, float          as named   itself
 *   str, bytes                                 TEXT, BYTES
 *   numpy.ndarray in the container's hive      ARRAY      the same memory
 *   Dict, List, Namespace of that hive         OBJECT     the process's object for it
 *   everything else                            PICKLE     what pickle makes of it: a copy of its own for each get
 *   (made by C)                                MSGPACK    bytes
 *
 * Exact types only: what is derived from them keeps its type, by pickle.  A pickle claims what it mentions: arrays of the hive,
 * and all objects of it (pickle.c).  Ordinary buffers from 64 KiB on are copied once, into blocks of their own, which it claims.
 */
#ifndef SKEP_PYTHON_ITEM_H
#define SKEP_PYTHON_ITEM_H

#include "state.h"

/* An item to be given to a container, and what it borrows from. */
struct given {
        struct skep_item item;
        PyObject *owner;
        skep_array *array;
        struct packed packed;
        void *memory;
};

/*
 * The item of a value.
 * @param hive  the container's Hive; None: there is none, and nothing goes by reference
 * @return 0, end it with given_end(); -1 with an exception, and nothing is to be ended
 */
int item_from(struct core_state *state, PyObject *hive, PyObject *object, struct given *ret_given);

/*
 * The item of a key: equal objects have equal keys, in all processes, as far as what they are made of says it: numbers of all
 * types, text, bytes, tuples, frozensets, enums, dataclasses and whatever else pickles into such.  Not exact:
 *   - a class whose __eq__ looks at less, or at more, than its pickle holds (identity, above all: copies are equal here);
 *   - NaN, which is never found again as a float, and always inside a tuple.
 * TypeError: unhashable.
 * @param lookup  it is only to be found, and will not be kept
 * @return as item_from()
 */
int key_from(struct core_state *state, PyObject *hive, PyObject *object, bool lookup, struct given *ret_given);

void given_end(struct given *given);

/* The item of None, bool, int of 64 bits, float, str or bytes; borrows from it. @return 1; 0 another object; -1 with an exception */
int item_is_plain(PyObject *object, struct skep_item *ret_item);

/* The object of a value or a key, also of one that C has set. @param item  cleared, also on failure @return NULL with an exception */
PyObject *item_load(struct core_state *state, PyObject *hive, struct skep_item *item);

/* nested_as(kind, type, attach): objects of exactly that type are items OBJECT; attach(type, hive, reference, (), None) brings them back. */
PyObject *item_nested_as(PyObject *module, PyObject *args);
/* keys_with(function): an exact builtin value that is equal to a given object, or a list that says what it is made of. */
PyObject *item_keys_with(PyObject *module, PyObject *function);

#endif
