/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.c - a hive of another process over TLS on the loopback: a question and its answer, many at once, and a large array.
 *
 * Peer: a bare TLS 1.3 echo with OpenSSL, blocking, with a pre-shared key and the same cipher: 64 bytes there and back; and its throughput for the
 * bytes of the array. Both servers are processes of their own.
 */
#include "bench.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define ROUNDS 7
#define CALLS 3000
#define MANY 20000
#define RUN 500
#define THREADS 16
#define ARRAY_BYTES (UINT64_C(48) << 20)
#define KEY "sixteen bytes...and sixteen more"

/* --- the servers ---------------------------------------------------------------------------------------------------- */

static pid_t child(int pipe_fds[2])
{
        must(pipe(pipe_fds), "pipe");
        pid_t pid = fork();

        must(pid, "fork");
        if (!pid) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                pin(1);
        }
        return pid;
}

static void serve_skep(int fd)
{
        skep_hive *hive;
        skep_server *server;
        char address[64] = "";

        MUST(skep_hive_create(NULL, &hive));
        MUST(skep_server_create(hive, SKEP_SERVER_OPTIONS(.authkey = KEY, .authkey_bytes = 32), &server));
        MUST(skep_server_listen(server, "tcp://127.0.0.1:0"));
        MUST(skep_server_address(server, 0, address, sizeof(address)));
        must((int)write(fd, address, sizeof(address)), "write");
        MUST(skep_server_run(server));
}

static SSL_SESSION *session_of(SSL *ssl)
{
        SSL_SESSION *session = SSL_SESSION_new();

        SSL_SESSION_set1_master_key(session, (const unsigned char *)KEY, 32);
        SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, (const unsigned char *)"\x13\x01"));
        SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
        return session;
}

static int use_key(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *bytes, SSL_SESSION **session)
{
        (void)md;
        *id = (const unsigned char *)"bench";
        *bytes = 5;
        *session = session_of(ssl);
        return 1;
}

static int find_key(SSL *ssl, const unsigned char *id, size_t bytes, SSL_SESSION **session)
{
        (void)id, (void)bytes;
        *session = session_of(ssl);
        return 1;
}

static SSL *bare_tls(int fd, bool server)
{
        int on = 1;
        SSL_CTX *context = SSL_CTX_new(TLS_method());

        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
        SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_psk_use_session_callback(context, use_key);
        SSL_CTX_set_psk_find_session_callback(context, find_key);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        SSL *ssl = SSL_new(context);
        SSL_set_fd(ssl, fd);
        must((server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1 ? 0 : -EPROTO, "TLS handshake");
        return ssl;
}

/* {bytes 4}: so many bytes come; then 64 bytes go back. */
static void serve_bare(int pipe_fd)
{
        static char buffer[1 << 16];
        struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        socklen_t length = sizeof(name);
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        must(bind(fd, (struct sockaddr *)&name, length), "bind");
        must(listen(fd, 1), "listen");
        must(getsockname(fd, (struct sockaddr *)&name, &length), "getsockname");
        must((int)write(pipe_fd, &name, sizeof(name)), "write");
        SSL *ssl = bare_tls(accept(fd, NULL, NULL), true);
        for (;;) {
                uint64_t left = 0;
                int count = SSL_read(ssl, buffer, 64);
                if (count < 64)
                        return;
                memcpy(&left, buffer, sizeof(left));
                while (left) {
                        count = SSL_read(ssl, buffer, left < sizeof(buffer) ? (int)left : (int)sizeof(buffer));
                        if (count <= 0)
                                return;
                        left -= (uint64_t)count;
                }
                SSL_write(ssl, buffer, 64);
        }
}

/* --- contestants ------------------------------------------------------------------------------------------------------ */

static skep_hive *hive;
static skep_dict *dict;
static skep_queue *queue;
static skep_array *array;
static SSL *bare;

static double skep_gets(void *unused)
{
        struct skep_item key = skep_item_text("the key"), value;
        int64_t start_ns = now_ns();

        (void)unused;
        for (int i = 0; i < CALLS; i++) {
                MUST(skep_dict_get(dict, &key, &value, NULL));
                skep_item_clear(&value);
        }
        return (double)(now_ns() - start_ns) / CALLS / 1000;
}

static double bare_echo(void *unused)
{
        char message[64] = { 0 };
        int64_t start_ns = now_ns();

        (void)unused;
        for (int i = 0; i < CALLS; i++) {
                SSL_write(bare, message, sizeof(message));
                must(SSL_read(bare, message, sizeof(message)) == 64 ? 0 : -EPROTO, "echo");
                memset(message, 0, 8);
        }
        return (double)(now_ns() - start_ns) / CALLS / 1000;
}

static void *get_some(void *unused)
{
        (void)unused;
        struct skep_item key = skep_item_text("the key"), value;
        for (int i = 0; i < MANY / THREADS; i++) {
                MUST(skep_dict_get(dict, &key, &value, NULL));
                skep_item_clear(&value);
        }
        return NULL;
}

static double skep_gets_of_threads(void *unused)
{
        pthread_t threads[THREADS];
        int64_t start_ns = now_ns();

        (void)unused;
        for (int i = 0; i < THREADS; i++)
                must(-pthread_create(&threads[i], NULL, get_some, NULL), "pthread_create");
        for (int i = 0; i < THREADS; i++)
                pthread_join(threads[i], NULL);
        return MANY * 1e6 / (double)(now_ns() - start_ns);
}

static double skep_gets_many(void *unused)
{
        static struct skep_dict_entry entries[RUN];

        (void)unused;
        for (int i = 0; i < RUN; i++)
                entries[i].key = skep_item_text("the key");
        int64_t start_ns = now_ns();
        for (int i = 0; i < MANY; i += RUN) {
                MUST(skep_dict_get_many(dict, entries, RUN, NULL));
                for (int j = 0; j < RUN; j++)
                        skep_item_clear(&entries[j].value);
        }
        return MANY * 1e6 / (double)(now_ns() - start_ns);
}

static double bare_echoes_at_once(void *unused)
{
        char message[64] = { 0 };
        int64_t start_ns = now_ns();

        (void)unused;
        for (int i = 0; i < MANY; i += THREADS) {
                for (int j = 0; j < THREADS; j++)
                        SSL_write(bare, message, sizeof(message));
                for (int j = 0; j < THREADS; j++)
                        must(SSL_read(bare, message, sizeof(message)) == 64 ? 0 : -EPROTO, "echo");
                memset(message, 0, 8);
        }
        return MANY * 1e6 / (double)(now_ns() - start_ns);
}

static double skep_puts(void *unused)
{
        static char memory[RUN][64];
        struct skep_bytes messages[RUN];
        size_t done;

        (void)unused;
        for (int i = 0; i < RUN; i++)
                messages[i] = (struct skep_bytes){ memory[i], 64 };
        int64_t start_ns = now_ns();
        for (int i = 0; i < MANY; i += RUN)
                MUST(skep_queue_put_many(queue, messages, RUN, &done, skep_forever()));
        int64_t spent_ns = now_ns() - start_ns;
        MUST(skep_queue_drain(queue, NULL));
        return MANY * 1e6 / (double)spent_ns;
}

static double skep_puts_array(void *unused)
{
        skep_array *back;
        (void)unused, (void)back;
        int64_t start_ns = now_ns();
        MUST(skep_queue_put_array(queue, array, skep_forever()));
        int64_t spent_ns = now_ns() - start_ns;
        MUST(skep_queue_drain(queue, NULL));
        return (double)ARRAY_BYTES / (double)spent_ns * 1000;
}

static double bare_bytes(void *unused)
{
        char message[64] = { 0 };
        const uint8_t *data = skep_array_data(array);
        uint64_t left = ARRAY_BYTES;

        (void)unused;
        memcpy(message, &left, sizeof(left));
        int64_t start_ns = now_ns();
        SSL_write(bare, message, sizeof(message));
        for (; left; data += 16384, left -= 16384)
                must(SSL_write(bare, data, 16384) == 16384 ? 0 : -EPIPE, "write");
        must(SSL_read(bare, message, sizeof(message)) == 64 ? 0 : -EPROTO, "echo");
        return (double)ARRAY_BYTES / (double)(now_ns() - start_ns) * 1000;
}

int main(void)
{
        int skep_pipe[2], bare_pipe[2];
        char address[64];
        struct sockaddr_in name;

        (void)alarm(100);
        if (!child(skep_pipe)) {
                serve_skep(skep_pipe[1]);
                return 0;
        }
        if (!child(bare_pipe)) {
                serve_bare(bare_pipe[1]);
                return 0;
        }
        must(read(skep_pipe[0], address, sizeof(address)) == sizeof(address) ? 0 : -EPIPE, "the server");
        must(read(bare_pipe[0], &name, sizeof(name)) == sizeof(name) ? 0 : -EPIPE, "the bare server");
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        must(connect(fd, (struct sockaddr *)&name, sizeof(name)), "connect");
        bare = bare_tls(fd, false);
        MUST(skep_hive_connect(address, SKEP_CONNECTION_OPTIONS(.authkey = KEY, .authkey_bytes = 32), &hive, skep_forever()));
        MUST(skep_dict_create(hive, NULL, &dict));
        MUST(skep_queue_create(hive, NULL, &queue));
        MUST(skep_array_create(hive, SKEP_ARRAY_OPTIONS(.element = SKEP_ELEMENT_U8, .dimension_count = 1, .shape = (const uint64_t[]){ ARRAY_BYTES }), &array));
        struct skep_item key = skep_item_text("the key"), value = skep_item_integer(42);
        MUST(skep_dict_set(dict, &key, &value));
        pin(0);
        COMPETE("remote dict get", "TLS on 127.0.0.1", "us", ROUNDS, { "skep", skep_gets, NULL }, { "bare TLS echo", bare_echo, NULL });
        COMPETE("remote dict get", "16 threads at once", "k/s", ROUNDS, { "skep", skep_gets_of_threads, NULL },
                { "bare TLS echo", bare_echoes_at_once, NULL });
        COMPETE("remote dict get", "pipelined, runs of 500", "k/s", ROUNDS, { "skep", skep_gets_many, NULL });
        COMPETE("remote puts, pipelined", "64 B, runs of 500", "k/s", ROUNDS, { "skep", skep_puts, NULL });
        COMPETE("remote put of an array", "48 MiB", "MB/s", ROUNDS, { "skep", skep_puts_array, NULL }, { "bare TLS", bare_bytes, NULL });
        skep_array_unref(array);
        skep_queue_unref(queue);
        skep_dict_unref(dict);
        skep_hive_detach(hive);
        return 0;
}
