/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - one table from which names and texts of results come (skep/error.h). */
#include "base/checked.h"

#include <errno.h>
#include <skep/error.h>

#define ERRORS(X) \
        X(EINVAL, "an argument is outside its range") \
        X(ENOSPC, "the hive is full; free something") \
        X(ENOMEM, "out of private memory or address space") \
        X(EUSERS, "the member or agent table is full") \
        X(EPROTO, "another format version or byte order, or a peer that does not keep to the protocol") \
        X(EPROTOTYPE, "the object or message is of another kind") \
        X(ENOENT, "no such name") \
        X(ENAMETOOLONG, "the name is too long") \
        X(EPERM, "not the owner") \
        X(EOWNERDEAD, "the process that should have answered died") \
        X(ETIMEDOUT, "the deadline passed") \
        X(ESHUTDOWN, "the queue is closed") \
        X(EMSGSIZE, "the message does not fit") \
        X(EBADMSG, "the hive is damaged, or is none") \
        X(ESTALE, "the object is gone, or its handle was closed") \
        X(EOVERFLOW, "sizes do not fit in 63 bits") \
        X(EEXIST, "the name is taken") \
        X(E2BIG, "the options are newer than the library, or an argument is too long") \
        X(EDEADLK, "already held by this thread") \
        X(EBUSY, "still in use") \
        X(ENOTSUP, "not offered here, or not for an object of another machine") \
        X(EAGAIN, "not now: it was changed, or a resource is short") \
        X(ERANGE, "no such index or position") \
        X(EPIPE, "broken: a party died, gave up or ran out of time") \
        X(EINTR, "interrupted") \
        X(EACCES, "permission denied") \
        X(ECHILD, "not a child of this process") \
        X(EMFILE, "too many open descriptors in this process") \
        X(ENFILE, "too many open files in the system") \
        X(EIO, "input or output failed") \
        X(ECONNREFUSED, "nobody listens there") \
        X(ECONNRESET, "the connection broke; a call that was under way may have happened") \
        X(ENOTCONN, "not connected; the call has not happened") \
        X(EHOSTUNREACH, "no such host, or no way to it") \
        X(EADDRINUSE, "somebody listens there already") \
        X(EADDRNOTAVAIL, "no address of this machine") \
        X(ENOSYS, "built without the network, or OpenSSL is not installed") \
        X(ECANCELED, "cancelled before it was done") \
        X(ERANGE, "no such position")

static const struct {
        int result;
        const char *name;
        const char *text;
} errors[] = {
        {0, "OK", "done"},
        {SKEP_OWNER_DIED, "OWNER_DIED", "done, but the previous owner died holding it"},
        {SKEP_TASKS_FAILED, "TASKS_FAILED", "done, but some tasks failed"},
#define ROW(code, text) {-code, #code, text},
        ERRORS(ROW)
};

const char *skep_strerror(int result)
{
        for (unsigned i = 0; i < COUNT_OF(errors); i++)
                if (errors[i].result == result)
                        return errors[i].text;
        return result < 0 ? "the operating system refused" : "done, with news unknown to this version";
}

const char *skep_error_name(int result)
{
        for (unsigned i = 0; i < COUNT_OF(errors); i++)
                if (errors[i].result == result)
                        return errors[i].name;
        return "E?";
}
