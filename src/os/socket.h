/* SPDX-License-Identifier: Apache-2.0 */
/*
 * os/socket.h - the system calls that only src/net/ and src/manager/ need: stream sockets.
 *
 * Nothing here keeps state.  Results are 0 or -errno unless said otherwise.  Sockets made here are close-on-exec and do not
 * block; a write to a peer that has gone is -EPIPE and no signal.
 */
#ifndef SKEP_OS_SOCKET_H
#define SKEP_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct os_address {
        uint32_t bytes;
        _Alignas(8) uint8_t data[128];
};

/* Addresses of a host, IPv4 and IPv6, in the order to try them; asks the resolver, which may take its time. @return count or -errno; -EHOSTUNREACH */
int os_address_tcp(const char *host, const char *port, bool for_listening, struct os_address *ret_addresses, uint32_t count_max);
/* abstract: the name has no file. -ENAMETOOLONG */
int os_address_unix(const char *path, bool abstract, struct os_address *ret_address);
/* As skep/connection.h writes it: "tcp://[::1]:80". -EMSGSIZE */
int os_address_text(const struct os_address *address, char *text, size_t bytes);

/* 1: under way; wait until the socket can be written, then ask os_socket_error(). */
int os_socket_connect(const struct os_address *address, int *ret_fd);
int os_socket_error(int fd);
/* A file that a listener left behind which has gone is replaced; -EADDRINUSE if somebody listens there. */
int os_socket_listen(const struct os_address *address, uint32_t backlog, int *ret_fd);
int os_socket_accept(int fd, int *ret_fd); /* -EAGAIN none */
int os_socket_address(int fd, bool of_peer, struct os_address *ret_address);
bool os_socket_is_local(int fd);           /* of this machine: a unix socket */
int os_socket_peer_user(int fd, uint32_t *ret_user);
/* Do not block, no delay of small writes; let the kernel give up a silent peer after so many seconds. */
int os_socket_prepare(int fd, uint32_t silence_max_s);
int os_socket_shut(int fd);

/* @return bytes, 0 end of file (receive), -EAGAIN, -errno */
int64_t os_socket_send(int fd, const void *data, size_t bytes);
int64_t os_socket_receive(int fd, void *buffer, size_t bytes);

#define OS_READABLE 1
#define OS_WRITABLE 2
/* @return 1 ready or in error, 0 the time has come, -EINTR */
int os_socket_poll(int fd, int events, int64_t monotonic_ns);

#endif
