/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - TLS 1.3 with an external pre-shared key over a socket that does not block; or the bare socket.
 *
 * KEY      HKDF-SHA256(authkey, info "skep tls psk v1"), 32 bytes, is the key of TLS_AES_128_GCM_SHA256 (RFC 8446, 4.2.11); its
 *          identity is the key id.  Only psk_dhe_ke is offered: a fresh Diffie-Hellman share enters every session.
 * MUTUAL   An end accepts only a session that was resumed from the key: the server proves it with its Finished, the client
 *          with its binder.  There are no certificates to fall back to, and none would be believed.
 * NO MORE  No tickets, so a session is never resumed from another one; no early data; no renegotiation (TLS 1.3 has none).
 *
 * OpenSSL is loaded when the first key is made.  A process that never talks to another machine does not pay for it (a
 * millisecond at each start), and where it is not installed only this is missing.
 */
#include "base/atomic.h"
#include "base/checked.h"
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef SKEP_NETWORK
#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/ssl.h>

/* --- the library ------------------------------------------------------------------------------------------------------------ */

#define CRYPTO_FUNCTIONS(X) \
        X(BIO_clear_flags) X(BIO_get_data) X(BIO_get_new_index) X(BIO_meth_new) X(BIO_meth_set_ctrl) X(BIO_meth_set_read_ex) \
        X(BIO_meth_set_write_ex) X(BIO_new) X(BIO_set_data) X(BIO_set_flags) X(BIO_set_init) X(ERR_clear_error) \
        X(ERR_peek_error) X(EVP_KDF_CTX_free) X(EVP_KDF_CTX_new) X(EVP_KDF_derive) X(EVP_KDF_fetch) X(EVP_KDF_free) X(OPENSSL_cleanse)
#define SSL_FUNCTIONS(X) \
        X(SSL_CIPHER_find) X(SSL_CTX_ctrl) X(SSL_CTX_free) X(SSL_CTX_get_ex_data) X(SSL_CTX_new) X(SSL_CTX_set_ciphersuites) \
        X(SSL_CTX_set_default_read_buffer_len) X(SSL_CTX_set_ex_data) X(SSL_CTX_set_num_tickets) X(SSL_CTX_set_options) \
        X(SSL_CTX_set_psk_find_session_callback) X(SSL_CTX_set_psk_use_session_callback) X(SSL_SESSION_free) X(SSL_SESSION_new) \
        X(SSL_SESSION_set1_master_key) X(SSL_SESSION_set_cipher) X(SSL_SESSION_set_protocol_version) X(SSL_do_handshake) X(SSL_free) \
        X(SSL_get_SSL_CTX) X(SSL_get_error) X(SSL_new) X(SSL_read_ex) X(SSL_session_reused) X(SSL_set_accept_state) X(SSL_set_bio) \
        X(SSL_set_connect_state) X(SSL_set_verify) X(SSL_shutdown) X(SSL_write_ex) X(TLS_method)

static struct {
#define POINTER(name) __typeof__(name) *name;
        CRYPTO_FUNCTIONS(POINTER)
        SSL_FUNCTIONS(POINTER)
} openssl;

static pthread_once_t openssl_once = PTHREAD_ONCE_INIT;
static bool openssl_is_there;
static BIO_METHOD *socket_method;

#define TEXT_OF_(x) #x
#define TEXT_OF(x) TEXT_OF_(x)

static bool symbol(void *library, const char *name, void *ret_pointer)
{
        void *found = library ? dlsym(library, name) : NULL;
        memcpy(ret_pointer, &found, sizeof found);
        return found;
}

/* --- its end towards the socket: no signal when the peer has gone ------------------------------------------------------------- */

static int bio_done(BIO *bio, int64_t count, int retry, size_t *ret_count)
{
        openssl.BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY | BIO_FLAGS_IN_EOF);
        if (count == -EAGAIN)
                openssl.BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
        else if (count == 0)
                openssl.BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
        *ret_count = count > 0 ? (size_t)count : 0;
        return count > 0;
}

static int bio_read(BIO *bio, char *buffer, size_t bytes, size_t *ret_count)
{
        return bio_done(bio, os_socket_receive((int)(intptr_t)openssl.BIO_get_data(bio), buffer, bytes), BIO_FLAGS_READ, ret_count);
}

static int bio_write(BIO *bio, const char *data, size_t bytes, size_t *ret_count)
{
        return bio_done(bio, os_socket_send((int)(intptr_t)openssl.BIO_get_data(bio), data, bytes), BIO_FLAGS_WRITE, ret_count);
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
        (void)bio, (void)number, (void)pointer;
        return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP; /* nothing is kept back */
}

static void openssl_load(void)
{
        void *crypto = dlopen("libcrypto.so." TEXT_OF(OPENSSL_SHLIB_VERSION), RTLD_NOW | RTLD_LOCAL);
        void *ssl = dlopen("libssl.so." TEXT_OF(OPENSSL_SHLIB_VERSION), RTLD_NOW | RTLD_LOCAL);
        bool all = true;
#define FIND_CRYPTO(name) all = symbol(crypto, #name, &openssl.name) && all;
#define FIND_SSL(name) all = symbol(ssl, #name, &openssl.name) && all;
        CRYPTO_FUNCTIONS(FIND_CRYPTO)
        SSL_FUNCTIONS(FIND_SSL)
        if (!all)
                return;
        socket_method = openssl.BIO_meth_new(openssl.BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "skep socket");
        if (!socket_method)
                return;
        openssl.BIO_meth_set_read_ex(socket_method, bio_read);
        openssl.BIO_meth_set_write_ex(socket_method, bio_write);
        openssl.BIO_meth_set_ctrl(socket_method, bio_control);
        openssl_is_there = true;
}

/* --- secrets ------------------------------------------------------------------------------------------------------------------ */

#define KEY_BYTES 32u
#define KEY_ID_MAX 128u

struct secret {
        uint32_t count;
        SSL_CTX *context;
        size_t id_bytes;
        unsigned char id[KEY_ID_MAX];
        unsigned char key[KEY_BYTES];
};

static int derive(const void *authkey, size_t bytes, unsigned char key[static KEY_BYTES])
{
        static const char label[] = "skep tls psk v1";
        EVP_KDF *hkdf = openssl.EVP_KDF_fetch(NULL, "HKDF", NULL);
        EVP_KDF_CTX *context = hkdf ? openssl.EVP_KDF_CTX_new(hkdf) : NULL;
        const OSSL_PARAM parameters[] = {
                {OSSL_KDF_PARAM_DIGEST, OSSL_PARAM_UTF8_STRING, (void *)(uintptr_t) "SHA256", 6, OSSL_PARAM_UNMODIFIED},
                {OSSL_KDF_PARAM_KEY, OSSL_PARAM_OCTET_STRING, (void *)(uintptr_t)authkey, bytes, OSSL_PARAM_UNMODIFIED},
                {OSSL_KDF_PARAM_INFO, OSSL_PARAM_OCTET_STRING, (void *)(uintptr_t)label, sizeof label - 1, OSSL_PARAM_UNMODIFIED},
                {NULL, 0, NULL, 0, 0},
        };
        int done = context ? openssl.EVP_KDF_derive(context, key, KEY_BYTES, parameters) : 0;
        openssl.EVP_KDF_CTX_free(context);
        openssl.EVP_KDF_free(hkdf);
        return done > 0 ? 0 : -ENOMEM;
}

/* The key in the form of a session that OpenSSL resumes. */
static SSL_SESSION *session_of(SSL *ssl, const struct secret *secret)
{
        static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
        SSL_SESSION *session = openssl.SSL_SESSION_new();
        const SSL_CIPHER *cipher = openssl.SSL_CIPHER_find(ssl, aes_128_gcm_sha256);
        if (session && cipher && openssl.SSL_SESSION_set1_master_key(session, secret->key, KEY_BYTES) && openssl.SSL_SESSION_set_cipher(session, cipher) &&
            openssl.SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION))
                return session;
        openssl.SSL_SESSION_free(session);
        return NULL;
}

static int client_key(SSL *ssl, const EVP_MD *digest, const unsigned char **ret_id, size_t *ret_bytes, SSL_SESSION **ret_session)
{
        const struct secret *secret = openssl.SSL_CTX_get_ex_data(openssl.SSL_get_SSL_CTX(ssl), 0);
        (void)digest; /* all our suites have the same */
        *ret_session = session_of(ssl, secret);
        *ret_id = secret->id;
        *ret_bytes = secret->id_bytes;
        return *ret_session != NULL;
}

static int server_key(SSL *ssl, const unsigned char *id, size_t bytes, SSL_SESSION **ret_session)
{
        const struct secret *secret = openssl.SSL_CTX_get_ex_data(openssl.SSL_get_SSL_CTX(ssl), 0);
        bool known = bytes == secret->id_bytes && memcmp(id, secret->id, bytes) == 0;
        *ret_session = known ? session_of(ssl, secret) : NULL;
        return !known || *ret_session;
}

static SSL_CTX *context_create(struct secret *secret)
{
        SSL_CTX *context = openssl.SSL_CTX_new(openssl.TLS_method());
        if (!context)
                return NULL;
        openssl.SSL_CTX_set_psk_use_session_callback(context, client_key);
        openssl.SSL_CTX_set_psk_find_session_callback(context, server_key);
        openssl.SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
        openssl.SSL_CTX_ctrl(context, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS, NULL);
        openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, NULL);
        openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_READ_AHEAD, 1, NULL); /* a record's head and body with one call */
        openssl.SSL_CTX_set_default_read_buffer_len(context, 4 * STREAM_RECORD_BYTES);
        if (openssl.SSL_CTX_set_num_tickets(context, 0) && openssl.SSL_CTX_set_ex_data(context, 0, secret) &&
            openssl.SSL_CTX_ctrl(context, SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION, NULL) &&
            openssl.SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256"))
                return context;
        openssl.SSL_CTX_free(context);
        return NULL;
}

int secret_create(const struct skep_connection_options *options, struct secret **ret_secret)
{
        *ret_secret = NULL;
        if (options->flags & SKEP_CONNECTION_PLAIN)
                return 0;
        const char *id = options->key_id ? options->key_id : "skep";
        if (!options->authkey || !options->authkey_bytes || !*id || strlen(id) > KEY_ID_MAX)
                return -EINVAL;
        pthread_once(&openssl_once, openssl_load);
        struct secret *secret = openssl_is_there ? calloc(1, sizeof *secret) : NULL;
        if (!secret)
                return openssl_is_there ? -ENOMEM : -ENOSYS;
        secret->count = 1;
        secret->id_bytes = strlen(id);
        memcpy(secret->id, id, secret->id_bytes);
        int result = derive(options->authkey, options->authkey_bytes, secret->key);
        if (result == 0 && !(secret->context = context_create(secret)))
                result = -ENOMEM;
        if (result == 0)
                *ret_secret = secret;
        else
                secret_unref(secret);
        openssl.ERR_clear_error();
        return result;
}

struct secret *secret_ref(struct secret *secret)
{
        if (secret)
                (void)skep_fetch_add32(&secret->count, 1);
        return secret;
}

void secret_unref(struct secret *secret)
{
        if (!secret || skep_fetch_add32(&secret->count, UINT32_MAX) != 1)
                return;
        if (secret->context)
                openssl.SSL_CTX_free(secret->context);
        openssl.OPENSSL_cleanse(secret, sizeof *secret);
        free(secret);
}
#else
typedef void SSL;
struct secret;

int secret_create(const struct skep_connection_options *options, struct secret **ret_secret)
{
        *ret_secret = NULL;
        return options->flags & SKEP_CONNECTION_PLAIN ? 0 : -ENOSYS;
}

struct secret *secret_ref(struct secret *secret)
{
        return secret;
}

void secret_unref(struct secret *secret)
{
        (void)secret;
}
#endif

/* --- streams -------------------------------------------------------------------------------------------------------------------- */

struct stream {
        int fd;
        bool greeted; /* the handshake is done */
        bool broken;
        struct secret *secret;
        SSL *ssl; /* NULL: plain */
};

static int check_plain_peer(int fd)
{
        uint32_t user;
        if (!os_socket_is_local(fd))
                return -EINVAL;
        int result = os_socket_peer_user(fd, &user);
        return result < 0 ? result : user == os_user() ? 0 : -EACCES;
}

static int encrypt(struct stream *stream, bool server)
{
#ifdef SKEP_NETWORK
        SSL *ssl = openssl.SSL_new(stream->secret->context);
        BIO *bio = ssl ? openssl.BIO_new(socket_method) : NULL;
        stream->ssl = ssl;
        if (!bio)
                return -ENOMEM;
        openssl.BIO_set_data(bio, (void *)(intptr_t)stream->fd);
        openssl.BIO_set_init(bio, 1);
        openssl.SSL_set_bio(ssl, bio, bio);
        if (server) {
                openssl.SSL_set_accept_state(ssl);
        } else {
                openssl.SSL_set_connect_state(ssl);
                openssl.SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL); /* no certificate is believed */
        }
        return 0;
#else
        (void)stream, (void)server;
        return -ENOSYS;
#endif
}

int stream_create(int fd_take, bool server, struct secret *secret, uint32_t silence_max_s, struct stream **ret_stream)
{
        int result = os_socket_prepare(fd_take, silence_max_s);
        if (result == 0 && !secret)
                result = check_plain_peer(fd_take);
        struct stream *stream = result == 0 ? calloc(1, sizeof *stream) : NULL;
        if (!stream) {
                os_close(fd_take);
                return result < 0 ? result : -ENOMEM;
        }
        *stream = (struct stream){.fd = fd_take, .secret = secret_ref(secret), .greeted = !secret};
        if (secret && (result = encrypt(stream, server)) < 0)
                stream_close(stream, false);
        else
                *ret_stream = stream;
        return result;
}

int stream_fd(const struct stream *stream)
{
        return stream->fd;
}

void stream_close(struct stream *stream, bool tell)
{
#ifdef SKEP_NETWORK
        if (stream->ssl) {
                if (tell && stream->greeted && !stream->broken)
                        (void)openssl.SSL_shutdown(stream->ssl);
                openssl.SSL_free(stream->ssl);
                openssl.ERR_clear_error();
        }
#endif
        (void)tell;
        os_close(stream->fd);
        secret_unref(stream->secret);
        free(stream);
}

#ifdef SKEP_NETWORK
/* Why the last step did not succeed. */
static int64_t reason_of(struct stream *stream, int result)
{
        int error = openssl.SSL_get_error(stream->ssl, result);
        if (error == SSL_ERROR_WANT_READ)
                return STREAM_WANTS_READ;
        if (error == SSL_ERROR_WANT_WRITE)
                return STREAM_WANTS_WRITE;
        if (error == SSL_ERROR_ZERO_RETURN)
                return 0;
        stream->broken = true;
        unsigned long code = openssl.ERR_peek_error();
        int reason = ERR_GET_REASON(code);
        static const int no_tls[] = {SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_UNSUPPORTED_PROTOCOL,
                                     SSL_R_BAD_RECORD_TYPE, SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_RECORD_TOO_SMALL, SSL_R_UNEXPECTED_MESSAGE};
        bool speaks_tls = error == SSL_ERROR_SSL;
        for (size_t i = 0; i < COUNT_OF(no_tls); i++)
                speaks_tls = speaks_tls && reason != no_tls[i];
        openssl.ERR_clear_error();
        if (error == SSL_ERROR_SYSCALL || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING)
                return -ECONNRESET;
        return speaks_tls && !stream->greeted ? -EACCES : -EPROTO;
}
#endif

int64_t stream_handshake(struct stream *stream)
{
        if (stream->greeted)
                return 0;
#ifdef SKEP_NETWORK
        openssl.ERR_clear_error();
        int result = openssl.SSL_do_handshake(stream->ssl);
        if (result <= 0) {
                int64_t reason = reason_of(stream, result);
                return reason ? reason : -ECONNRESET;
        }
        if (!openssl.SSL_session_reused(stream->ssl)) {
                stream->broken = true;
                return -EACCES;
        }
        stream->greeted = true;
#endif
        return 0;
}

int64_t stream_read(struct stream *stream, void *buffer, size_t bytes)
{
        if (stream->broken)
                return -ECONNRESET;
#ifdef SKEP_NETWORK
        if (stream->ssl) {
                size_t count = 0;
                openssl.ERR_clear_error();
                int result = openssl.SSL_read_ex(stream->ssl, buffer, bytes, &count);
                return result > 0 ? (int64_t)count : reason_of(stream, result);
        }
#endif
        int64_t count = os_socket_receive(stream->fd, buffer, bytes);
        return count == -EAGAIN ? STREAM_WANTS_READ : count;
}

int64_t stream_write(struct stream *stream, const void *data, size_t bytes)
{
        if (stream->broken)
                return -EPIPE;
#ifdef SKEP_NETWORK
        if (stream->ssl) {
                size_t count = 0;
                openssl.ERR_clear_error();
                int result = openssl.SSL_write_ex(stream->ssl, data, bytes, &count);
                if (result > 0)
                        return (int64_t)count;
                int64_t reason = reason_of(stream, result);
                return reason == 0 || reason == -ECONNRESET ? -EPIPE : reason;
        }
#endif
        int64_t count = os_socket_send(stream->fd, data, bytes);
        return count == -EAGAIN ? STREAM_WANTS_WRITE : count == -ECONNRESET ? -EPIPE : count;
}
