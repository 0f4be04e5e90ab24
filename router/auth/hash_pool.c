/*
 * The threads that do PBKDF2. One pool per process: a mutex guards the queue and the cache; the
 * expensive work runs outside it. Passwords live in jobs only, and are wiped there as soon as the
 * keys are known. The cache holds keys under a keyed digest of what they were made from, never a
 * password.
 */
#include "router/auth/hash_pool.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/list.h"

enum { DIGEST_BYTES = 32, WAYS = 4, SETS = SY_LIMIT_HASH_CACHE / WAYS, THREADS_MAX = 64 };

struct cached_keys {
    uint8_t digest[DIGEST_BYTES];
    uint8_t client_key[SY_SCRAM_KEY_BYTES], server_key[SY_SCRAM_KEY_BYTES];
    uint64_t used; /* 0: empty */
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t threads[THREADS_MAX];
    uint32_t thread_count;
    struct sy_hash_job *first, *last;
    uint32_t queued;
    bool running;
    uint64_t clock; /* counts uses, for the least recently used */
    uint8_t digest_key[DIGEST_BYTES];
    struct cached_keys *cache;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

/* What keys are cached under: an HMAC, so that the table does not give passwords away to a guesser
 * with a copy of it. */
static bool digest_of(const struct sy_hash_job *job, uint8_t ret_digest[DIGEST_BYTES])
{
    struct {
        uint32_t password_bytes, salt_bytes, iterations;
        char password[sizeof(job->password)];
        uint8_t salt[SY_SCRAM_SALT_BYTES_MAX];
    } key;
    memset(&key, 0, sizeof(key));
    key.password_bytes = job->password_bytes;
    key.salt_bytes = job->salt_bytes;
    key.iterations = job->iterations;
    memcpy(key.password, job->password, job->password_bytes);
    memcpy(key.salt, job->salt, job->salt_bytes);
    bool ok = HMAC(EVP_sha256(), pool.digest_key, DIGEST_BYTES, (const unsigned char *)&key,
                   sizeof(key), ret_digest, NULL) != NULL;
    OPENSSL_cleanse(&key, sizeof(key));
    return ok;
}

static struct cached_keys *set_of(const uint8_t digest[DIGEST_BYTES])
{
    uint32_t number;
    memcpy(&number, digest, sizeof(number));
    return pool.cache + (size_t)(number % SETS) * WAYS;
}

/* Under the lock. */
static bool find_cached(const uint8_t digest[DIGEST_BYTES], struct sy_hash_job *job)
{
    struct cached_keys *set = set_of(digest);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].used == 0 || CRYPTO_memcmp(set[i].digest, digest, DIGEST_BYTES) != 0)
            continue;
        set[i].used = ++pool.clock;
        memcpy(job->client_key, set[i].client_key, SY_SCRAM_KEY_BYTES);
        memcpy(job->server_key, set[i].server_key, SY_SCRAM_KEY_BYTES);
        return true;
    }
    return false;
}

/* Under the lock. */
static void remember(const uint8_t digest[DIGEST_BYTES], const struct sy_hash_job *job)
{
    struct cached_keys *set = set_of(digest), *oldest = set;
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].used < oldest->used)
            oldest = &set[i];
    memcpy(oldest->digest, digest, DIGEST_BYTES);
    memcpy(oldest->client_key, job->client_key, SY_SCRAM_KEY_BYTES);
    memcpy(oldest->server_key, job->server_key, SY_SCRAM_KEY_BYTES);
    oldest->used = ++pool.clock;
}

static void deliver(struct sy_message *message, struct sy_loop *loop)
{
    (void)loop;
    struct sy_hash_job *job = sy_container_of(message, struct sy_hash_job, message);
    job->done(job);
}

/* The job is the caller's again once this was called. */
static void finish(struct sy_hash_job *job, enum sy_status status)
{
    OPENSSL_cleanse(job->password, sizeof(job->password));
    job->password_bytes = 0;
    job->status = status;
    job->next = NULL;
    job->message.deliver = deliver;
    sy_loop_post(job->loop, &job->message);
}

/* Outside the lock: the work itself, unless somebody has done the same meanwhile. */
static void run(struct sy_hash_job *job)
{
    uint8_t digest[DIGEST_BYTES];
    bool have_digest = digest_of(job, digest);
    pthread_mutex_lock(&pool.lock);
    bool known = have_digest && find_cached(digest, job);
    pthread_mutex_unlock(&pool.lock);
    enum sy_status status = SY_OK;
    if (!known) {
        struct sy_slice password = {job->password, job->password_bytes};
        status = sy_scram_derive_keys(password, job->salt, job->salt_bytes, job->iterations,
                                      job->client_key, job->server_key, NULL);
        if (status == SY_OK && have_digest) {
            pthread_mutex_lock(&pool.lock);
            remember(digest, job);
            pthread_mutex_unlock(&pool.lock);
        }
    }
    finish(job, status);
}

static struct sy_hash_job *take_job(void)
{
    struct sy_hash_job *job = pool.first;
    if (job == NULL)
        return NULL;
    pool.first = job->next;
    if (pool.first == NULL)
        pool.last = NULL;
    pool.queued--;
    return job;
}

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&pool.lock);
    while (pool.running) {
        struct sy_hash_job *job = take_job();
        if (job == NULL) {
            pthread_cond_wait(&pool.wake, &pool.lock);
            continue;
        }
        pthread_mutex_unlock(&pool.lock);
        run(job);
        pthread_mutex_lock(&pool.lock);
    }
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

enum sy_status sy_hash_pool_start(uint32_t threads, struct sy_err *err)
{
    if (threads == 0 || threads > THREADS_MAX)
        return sy_err_set(err, SY_E_VALUE, "hash threads must be 1 to %d", THREADS_MAX);
    if (pool.running)
        return sy_err_set(err, SY_E_STATE, "the hash pool runs already");
    if (RAND_bytes(pool.digest_key, DIGEST_BYTES) != 1)
        return sy_err_set(err, SY_E_INTERNAL, "no random numbers");
    pool.cache = calloc((size_t)SETS * WAYS, sizeof(struct cached_keys));
    if (pool.cache == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory");
    pool.running = true;
    for (pool.thread_count = 0; pool.thread_count < threads; pool.thread_count++) {
        int failure = pthread_create(&pool.threads[pool.thread_count], NULL, work, NULL);
        if (failure != 0) {
            sy_hash_pool_stop();
            return sy_err_set_errno(err, SY_E_LIMIT, failure, "cannot start a hash thread");
        }
    }
    return SY_OK;
}

void sy_hash_pool_stop(void)
{
    pthread_mutex_lock(&pool.lock);
    pool.running = false;
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
    for (uint32_t i = 0; i < pool.thread_count; i++)
        pthread_join(pool.threads[i], NULL);
    pool.thread_count = 0;
    pthread_mutex_lock(&pool.lock);
    for (struct sy_hash_job *job = take_job(); job != NULL; job = take_job())
        finish(job, SY_E_SHUTDOWN);
    if (pool.cache != NULL)
        OPENSSL_cleanse(pool.cache, (size_t)SETS * WAYS * sizeof(struct cached_keys));
    free(pool.cache);
    pool.cache = NULL;
    OPENSSL_cleanse(pool.digest_key, DIGEST_BYTES);
    pthread_mutex_unlock(&pool.lock);
}

enum sy_status sy_hash_pool_submit(struct sy_hash_job *job, struct sy_err *err)
{
    if (job->password_bytes > sizeof(job->password) || job->salt_bytes > sizeof(job->salt))
        return sy_err_set(err, SY_E_VALUE, "invalid hash job");
    uint8_t digest[DIGEST_BYTES];
    enum sy_status status = SY_OK;
    bool known = false;
    pthread_mutex_lock(&pool.lock);
    if (!pool.running)
        status = sy_err_set(err, SY_E_SHUTDOWN, "the hash pool does not run");
    else if (digest_of(job, digest) && find_cached(digest, job))
        known = true;
    else if (pool.queued >= SY_LIMIT_HASH_QUEUE)
        status = sy_err_set(err, SY_E_LIMIT, "too many logins wait for their password check");
    if (status == SY_OK && !known) {
        job->next = NULL;
        if (pool.last != NULL)
            pool.last->next = job;
        else
            pool.first = job;
        pool.last = job;
        pool.queued++;
        pthread_cond_signal(&pool.wake);
    }
    pthread_mutex_unlock(&pool.lock);
    if (known)
        finish(job, SY_OK);
    return status;
}
