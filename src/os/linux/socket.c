/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - stream sockets (os/socket.h) on Linux. */
#include "os/socket.h"

#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(struct sockaddr_storage) <= sizeof((struct os_address *)0)->data, "any address fits");

static const struct sockaddr *sockaddr_of(const struct os_address *address)
{
        return (const struct sockaddr *)(const void *)address->data;
}

int os_address_tcp(const char *host, const char *port, bool for_listening, struct os_address *ret_addresses, uint32_t count_max)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (for_listening ? AI_PASSIVE : AI_ADDRCONFIG)};
        struct addrinfo *found = NULL;
        int result = getaddrinfo(*host ? host : NULL, port, &hints, &found);
        if (result == EAI_NONAME && !for_listening) { /* without a network 127.0.0.1 is no configured address, but is there */
                const struct addrinfo numeric = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST};
                result = getaddrinfo(host, port, &numeric, &found);
        }
        if (result)
                return result == EAI_SYSTEM ? -errno : result == EAI_MEMORY ? -ENOMEM : result == EAI_SERVICE ? -EINVAL : -EHOSTUNREACH;
        uint32_t count = 0;
        for (const struct addrinfo *one = found; one && count < count_max; one = one->ai_next) {
                ret_addresses[count].bytes = one->ai_addrlen;
                memcpy(ret_addresses[count++].data, one->ai_addr, one->ai_addrlen);
        }
        freeaddrinfo(found);
        return (int)count;
}

int os_address_unix(const char *path, bool abstract, struct os_address *ret_address)
{
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        size_t length = strlen(path);
        if (!length)
                return -EINVAL;
        if (length + 1 > sizeof name.sun_path)
                return -ENAMETOOLONG;
        memcpy(name.sun_path + abstract, path, length);
        ret_address->bytes = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
        memcpy(ret_address->data, &name, sizeof name);
        return 0;
}

int os_address_text(const struct os_address *address, char *text, size_t bytes)
{
        const struct sockaddr_un *local = (const void *)address->data;
        char host[64], port[16];
        int length;
        if (local->sun_family == AF_UNIX) {
                size_t path = address->bytes - offsetof(struct sockaddr_un, sun_path);
                if (!path || address->bytes < offsetof(struct sockaddr_un, sun_path))
                        length = snprintf(text, bytes, "unix:");
                else if (local->sun_path[0])
                        length = snprintf(text, bytes, "unix:%.*s", (int)strnlen(local->sun_path, path), local->sun_path);
                else
                        length = snprintf(text, bytes, "unix:@%.*s", (int)path - 1, local->sun_path + 1);
        } else {
                if (getnameinfo(sockaddr_of(address), address->bytes, host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV))
                        return -EINVAL;
                length = snprintf(text, bytes, strchr(host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
        }
        return length < 0 || (size_t)length >= bytes ? -EMSGSIZE : 0;
}

static int socket_for(const struct os_address *address)
{
        int fd = socket(sockaddr_of(address)->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        return fd < 0 ? -errno : fd;
}

int os_socket_connect(const struct os_address *address, int *ret_fd)
{
        int fd = socket_for(address);
        if (fd < 0)
                return fd;
        int result = connect(fd, sockaddr_of(address), address->bytes) ? -errno : 0;
        if (result < 0 && result != -EINPROGRESS && result != -EINTR) {
                close(fd);
                return result;
        }
        *ret_fd = fd;
        return result < 0;
}

int os_socket_error(int fd)
{
        int error = 0;
        socklen_t length = sizeof error;
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) ? -errno : -error;
}

/* Nobody listens at that file: it was left behind. */
static bool is_left_behind(const struct os_address *address)
{
        int fd = -1, result = os_socket_connect(address, &fd);
        if (result >= 0)
                close(fd);
        return result == -ECONNREFUSED;
}

int os_socket_listen(const struct os_address *address, uint32_t backlog, int *ret_fd)
{
        const int on = 1;
        bool local = sockaddr_of(address)->sa_family == AF_UNIX;
        int fd = socket_for(address);
        if (fd < 0)
                return fd;
        if (local)
                (void)fchmod(fd, 0600); /* the file that bind() makes has this mode */
        else
                (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        int result = bind(fd, sockaddr_of(address), address->bytes) ? -errno : 0;
        const char *path = ((const struct sockaddr_un *)(const void *)address->data)->sun_path;
        if (result == -EADDRINUSE && local && *path && is_left_behind(address) && unlink(path) == 0)
                result = bind(fd, sockaddr_of(address), address->bytes) ? -errno : 0;
        if (result == 0 && listen(fd, backlog > INT16_MAX ? INT16_MAX : (int)backlog))
                result = -errno;
        if (result < 0)
                close(fd);
        else
                *ret_fd = fd;
        return result;
}

int os_socket_accept(int fd, int *ret_fd)
{
        for (;;) {
                int accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (accepted >= 0) {
                        *ret_fd = accepted;
                        return 0;
                }
                if (errno != EINTR && errno != ECONNABORTED)
                        return -errno;
        }
}

int os_socket_address(int fd, bool of_peer, struct os_address *ret_address)
{
        socklen_t length = sizeof ret_address->data;
        struct sockaddr *name = (void *)ret_address->data;
        if (of_peer ? getpeername(fd, name, &length) : getsockname(fd, name, &length))
                return -errno;
        ret_address->bytes = length;
        return 0;
}

bool os_socket_is_local(int fd)
{
        int domain = 0;
        socklen_t length = sizeof domain;
        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX;
}

int os_socket_peer_user(int fd, uint32_t *ret_user)
{
        struct ucred who;
        socklen_t length = sizeof who;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &length))
                return -errno;
        *ret_user = who.uid;
        return 0;
}

static void option(int fd, int level, int name, int value)
{
        (void)setsockopt(fd, level, name, &value, sizeof value);
}

int os_socket_prepare(int fd, uint32_t silence_max_s)
{
        int flags = fcntl(fd, F_GETFL), silence = (int)silence_max_s;
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
                return -errno;
        if (os_socket_is_local(fd))
                return 0;
        option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
        option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
        option(fd, IPPROTO_TCP, TCP_KEEPIDLE, silence > 3 ? silence / 3 : 1);
        option(fd, IPPROTO_TCP, TCP_KEEPINTVL, silence > 9 ? silence / 9 : 1);
        option(fd, IPPROTO_TCP, TCP_KEEPCNT, silence > 9 ? 6 : silence > 3 ? silence * 2 / 3 : 2);
        option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, silence * 1000); /* also with data under way */
        return 0;
}

int os_socket_shut(int fd)
{
        return shutdown(fd, SHUT_RDWR) ? -errno : 0;
}

int64_t os_socket_send(int fd, const void *data, size_t bytes)
{
        ssize_t count;
        do
                count = send(fd, data, bytes, MSG_NOSIGNAL);
        while (count < 0 && errno == EINTR);
        return count < 0 ? -errno : count;
}

int64_t os_socket_receive(int fd, void *buffer, size_t bytes)
{
        ssize_t count;
        do
                count = recv(fd, buffer, bytes, 0);
        while (count < 0 && errno == EINTR);
        return count < 0 ? -errno : count;
}

int os_socket_poll(int fd, int events, int64_t monotonic_ns)
{
        struct pollfd one = {fd, (short)((events & OS_READABLE ? POLLIN : 0) | (events & OS_WRITABLE ? POLLOUT : 0)), 0};
        struct timespec left = {0, 0};
        int64_t now = monotonic_ns == 0 || monotonic_ns == INT64_MAX ? 0 : os_now_ns();
        if (monotonic_ns > now)
                left = (struct timespec){(monotonic_ns - now) / INT64_C(1000000000), (monotonic_ns - now) % INT64_C(1000000000)};
        int count = ppoll(&one, 1, monotonic_ns == INT64_MAX ? NULL : &left, NULL);
        return count < 0 ? -errno : count;
}
