/* SPDX-License-Identifier: Apache-2.0 */
/* address.c - addresses as text, and sockets that begin with one (net.h, skep/connection.h). */
#include "net/net.h"
#include "sync/wait.h"

#include <string.h>

#define HOST_MAX 255u
#define PORT_MAX 5u /* digits */
#define BACKLOG 128u

static int parse_tcp(const char *text, bool for_listening, struct os_address *ret_addresses)
{
        char host[HOST_MAX + 1];
        bool bracketed = *text == '[';
        const char *begin = text + bracketed, *end = bracketed ? strchr(begin, ']') : strrchr(begin, ':');
        if (!end || (size_t)(end - begin) > HOST_MAX || (end == begin && (bracketed || !for_listening)))
                return -EINVAL;
        memcpy(host, begin, (size_t)(end - begin));
        host[end - begin] = 0;
        if (!bracketed && strchr(host, ':'))
                return -EINVAL;
        const char *colon = end + bracketed, *port = colon + 1;
        if (*colon != ':' || !*port || strlen(port) > PORT_MAX || port[strspn(port, "0123456789")])
                return -EINVAL;
        return os_address_tcp(host, port, for_listening, ret_addresses, ADDRESSES_MAX);
}

int address_parse(const char *text, bool for_listening, struct os_address *ret_addresses, uint32_t *ret_count)
{
        int result = -EINVAL;
        if (text && strncmp(text, "unix:", 5) == 0) {
                bool abstract = text[5] == '@';
                result = os_address_unix(text + 5 + abstract, abstract, ret_addresses);
                result = result < 0 ? result : 1;
        } else if (text && strncmp(text, "tcp://", 6) == 0) {
                result = parse_tcp(text + 6, for_listening, ret_addresses);
        }
        if (result < 0)
                return result;
        *ret_count = (uint32_t)result;
        return 0;
}

int net_wait(int fd, int events, skep_deadline deadline)
{
        for (;;) {
                int64_t until = deadline.monotonic_ns;
                if (until && wait_may_be_interrupted()) {
                        int64_t slice = os_now_ns() + WAIT_SLICE_NS;
                        until = slice < until ? slice : until;
                }
                int result = os_socket_poll(fd, events, until);
                if (result > 0)
                        return 0;
                if (result < 0 && result != -EINTR)
                        return result;
                int told = deadline.monotonic_ns ? wait_ask() : 0;
                if (told < 0)
                        return told;
                if (until == deadline.monotonic_ns && result == 0)
                        return -ETIMEDOUT;
        }
}

int net_wait_surely(int fd, int events, skep_deadline deadline)
{
        int result;
        do
                result = os_socket_poll(fd, events, deadline.monotonic_ns);
        while (result == -EINTR);
        return result < 0 ? result : result ? 0 : -ETIMEDOUT;
}

static int connect_to(const struct os_address *address, int *ret_fd, skep_deadline deadline)
{
        int fd, result;
        while ((result = os_socket_connect(address, &fd)) == -EAGAIN) { /* a unix listener's backlog is full */
                if (os_now_ns() >= deadline.monotonic_ns)
                        return -ETIMEDOUT;
                result = net_wait(-1, 0, skep_within_ns(INT64_C(1000000)));
                if (result != -ETIMEDOUT)
                        return result;
        }
        if (result == 1) {
                result = net_wait(fd, OS_WRITABLE, deadline);
                if (result == 0)
                        result = os_socket_error(fd);
                if (result < 0)
                        os_close(fd);
        }
        if (result == 0)
                *ret_fd = fd;
        return result;
}

int net_connect(const char *address, int *ret_fd, skep_deadline deadline)
{
        struct os_address addresses[ADDRESSES_MAX];
        uint32_t count = 0;
        int result = address_parse(address, false, addresses, &count);
        if (result < 0)
                return result;
        result = -EHOSTUNREACH;
        for (uint32_t i = 0; i < count; i++) {
                result = connect_to(&addresses[i], ret_fd, deadline);
                if (result == 0 || result == -ETIMEDOUT)
                        break;
        }
        return result == -ENOENT ? -ECONNREFUSED : result; /* no file: nobody listens there */
}

int skep_connection_listen(const char *address, uint32_t backlog, int *ret_fd)
{
        struct os_address addresses[ADDRESSES_MAX];
        uint32_t count = 0;
        int result = address_parse(address, true, addresses, &count);
        if (result < 0)
                return result;
        result = -EADDRNOTAVAIL;
        for (uint32_t i = 0; i < count && result < 0; i++)
                result = os_socket_listen(&addresses[i], backlog ? backlog : BACKLOG, ret_fd);
        return result;
}

int skep_connection_accept_fd(int listener_fd, int *ret_fd, skep_deadline deadline)
{
        for (;;) {
                int result = os_socket_accept(listener_fd, ret_fd);
                if (result != -EAGAIN)
                        return result;
                result = net_wait(listener_fd, OS_READABLE, deadline);
                if (result < 0)
                        return result;
        }
}

int skep_connection_address(int fd, int of_peer, char *text, size_t bytes)
{
        struct os_address address;
        int result = os_socket_address(fd, of_peer != 0, &address);
        return result < 0 ? result : os_address_text(&address, text, bytes);
}
