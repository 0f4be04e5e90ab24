/*
 * Three bytes choose method, user and connection; then messages follow, each with one byte of
 * length in front. Nobody unknown gets in by a password, a refusal writes nothing and says why, and
 * nothing happens after the end.
 */
#include <string.h>

#include "router/auth/login.h"
#include "router/wire/message.h"
#include "tests/fuzz/fuzz.h"

static const struct sy_config_user users[] = {
    {.name = "app", .password = "secret"},
    {.name = "app", .secret = "md5fc9c39dbd70adad8b7bbe6ec0c6ee8ba"},
    {.name = "app",
     .secret =
         "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
         "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="},
    {.name = "app"},
};

static void check_step(enum sy_login_step step, const struct sy_buf *out, size_t before,
                       const struct sy_err *err)
{
    if (step == SY_LOGIN_FAILED)
        FUZZ_CHECK(out->bytes == before && err->status != SY_OK && err->text[0] != '\0');
    size_t at = before;
    while (at < out->bytes) {
        FUZZ_CHECK(out->bytes - at >= 9 && out->data[at] == 'R');
        uint32_t length = sy_u32_at(out->data + at + 1, 0);
        bool last = at + 1 + length == out->bytes;
        bool ok = sy_u32_at(out->data + at + 5, 0) == SY_AUTH_CODE_OK;
        FUZZ_CHECK(length >= 8 && length <= out->bytes - at - 1);
        FUZZ_CHECK(ok == (step == SY_LOGIN_OK && last));
        at += 1 + length;
    }
}

/* Keys without the work: what they are does not matter to the machine. */
static enum sy_login_step hash(struct sy_login *login, struct sy_buf *out, struct sy_err *err)
{
    struct sy_hash_job job = {.status = SY_OK};
    sy_login_fill_job(login, &job);
    FUZZ_CHECK(job.password_bytes <= sizeof(job.password) &&
               job.iterations >= SY_SCRAM_ITERATIONS_MIN);
    memset(job.client_key, 7, sizeof(job.client_key));
    memset(job.server_key, 8, sizeof(job.server_key));
    return sy_login_hashed(login, &job, out, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const uint8_t mock_nonce[32] = {3, 1, 4, 1, 5}, binding[32] = {2, 7, 1, 8};
    if (bytes < 3)
        return 0;
    struct sy_login_input input = {
        .method = (enum sy_auth_method)(data[0] % (SY_AUTH_PASSWORD + 1)),
        .user = SY_SLICE("app"),
        .entry = data[1] % 5 == 4 ? NULL : &users[data[1] % 5],
        .unknown_as = (enum sy_credential)(data[1] / 5 % 4),
        .is_tls = (data[2] & 1) != 0,
        .is_local = (data[2] & 2) != 0,
        .binding = binding,
        .binding_bytes = (data[2] & 4) != 0 ? 32 : 0,
        .certificate_user = (data[2] & 8) != 0 ? SY_SLICE("app") : (struct sy_slice){NULL, 0},
        .mock_nonce = mock_nonce,
        .md5_salt = {1, 2, 3, 4},
        .server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"};
    struct sy_login login;
    struct sy_buf out = {.data = NULL};
    struct sy_err err = {.status = SY_OK};
    enum sy_login_step step = sy_login_start(&login, &input, &out, &err);
    check_step(step, &out, 0, &err);
    size_t at = 3;
    while (step == SY_LOGIN_HASH || (step == SY_LOGIN_MESSAGE && at < bytes)) {
        size_t before = out.bytes;
        if (step == SY_LOGIN_HASH) {
            step = hash(&login, &out, &err);
        } else {
            size_t left = bytes - at - 1, run = data[at] < left ? data[at] : left;
            step = sy_login_message(&login, (struct sy_slice){(const char *)data + at + 1, run},
                                    &out, &err);
            at += 1 + run;
        }
        check_step(step, &out, before, &err);
    }
    if (step == SY_LOGIN_OK && input.method != SY_AUTH_TRUST)
        FUZZ_CHECK(input.entry != NULL && !login.mock);
    if (step == SY_LOGIN_OK || step == SY_LOGIN_FAILED)
        FUZZ_CHECK(sy_login_message(&login, SY_SLICE("x"), &out, &err) == SY_LOGIN_FAILED);
    sy_login_release(&login);
    sy_buf_release(&out);
    return 0;
}
