/*
 * The hash of a key, equal to the extended hash that PostgreSQL uses for PARTITION BY HASH, so that
 * servers can compute and check a bucket themselves.
 *
 * Source: Bob Jenkins, "lookup3" (public domain, 2006), in the variant with a 64-bit seed that
 * PostgreSQL documents for its hash support functions. Pure; any thread.
 */
#include <endian.h>

#include "router/plan/shardmap.h"

/* PostgreSQL's HASH_PARTITION_SEED, and what its combine step adds to the first column's hash (low
 * 12 bits). */
static const uint64_t partition_seed = UINT64_C(0x7A5B22367996DCFD);
enum { COMBINE_LOW_BITS = 2275 };

struct state {
    uint32_t a, b, c;
};

static inline uint32_t rotate(uint32_t value, unsigned bits)
{
    return value << bits | value >> (32 - bits);
}

/* One round of mixing: subtract, xor with a rotation, add; the rotations are lookup3's. */
static inline void mix(struct state *s)
{
    static const struct {
        unsigned char x, y, z;
    } turn[2] = {{4, 6, 8}, {16, 19, 4}};
    for (unsigned i = 0; i < 2; i++) {
        s->a = (s->a - s->c) ^ rotate(s->c, turn[i].x);
        s->c += s->b;
        s->b = (s->b - s->a) ^ rotate(s->a, turn[i].y);
        s->a += s->c;
        s->c = (s->c - s->b) ^ rotate(s->b, turn[i].z);
        s->b += s->a;
    }
}

static inline void stir(uint32_t *target, uint32_t other, unsigned bits)
{
    *target = (*target ^ other) - rotate(other, bits);
}

static inline uint64_t finish(struct state *s)
{
    stir(&s->c, s->b, 14);
    stir(&s->a, s->c, 11);
    stir(&s->b, s->a, 25);
    stir(&s->c, s->b, 16);
    stir(&s->a, s->c, 4);
    stir(&s->b, s->a, 14);
    stir(&s->c, s->b, 24);
    return (uint64_t)s->b << 32 | s->c;
}

static inline struct state begin(uint32_t bytes)
{
    uint32_t start = 0x9e3779b9U + bytes + 3923095U;
    struct state s = {start, start, start};
    s.a += (uint32_t)(partition_seed >> 32);
    s.b += (uint32_t)partition_seed;
    mix(&s);
    return s;
}

static inline uint64_t hash_word(uint32_t word)
{
    struct state s = begin(sizeof(word));
    s.a += word;
    return finish(&s);
}

static inline uint32_t load_word(const unsigned char *from)
{
    uint32_t word = 0;
    memcpy(&word, from, sizeof(word));
    return le32toh(word);
}

static uint64_t hash_bytes(const unsigned char *data, size_t bytes)
{
    struct state s = begin((uint32_t)bytes);
    while (bytes >= 12) {
        s.a += load_word(data);
        s.b += load_word(data + 4);
        s.c += load_word(data + 8);
        mix(&s);
        data += 12;
        bytes -= 12;
    }
    /* The tail is read as if padded with zeros, except that the lowest byte of c belongs to the
     * length. */
    unsigned char tail[12] = {0};
    if (bytes > 0)
        memcpy(tail, data, bytes);
    s.a += load_word(tail);
    s.b += load_word(tail + 4);
    s.c += load_word(tail + 8) << 8;
    return finish(&s);
}

/* int2, int4 and int8 of the same value hash alike: the high half is folded in so that it vanishes
 * for small ones. */
static inline uint64_t hash_integer(int64_t value)
{
    uint32_t low = (uint32_t)value;
    uint32_t high = (uint32_t)((uint64_t)value >> 32);
    return hash_word(low ^ (value >= 0 ? high : ~high));
}

uint64_t sy_key_hash(const struct sy_key *key)
{
    if (key->is_null)
        return 0;
    switch (key->type) {
    case SY_KEY_INT2:
    case SY_KEY_INT4:
    case SY_KEY_INT8:
    case SY_KEY_TIMESTAMP:
    case SY_KEY_TIMESTAMPTZ:
        return hash_integer(key->integer);
    case SY_KEY_DATE:
        return hash_word((uint32_t)key->integer);
    case SY_KEY_UUID:
        return hash_bytes(key->uuid, sizeof(key->uuid));
    case SY_KEY_TEXT:
    case SY_KEY_VARCHAR:
    case SY_KEY_BPCHAR: {
        size_t bytes = key->text.bytes;
        while (key->type == SY_KEY_BPCHAR && bytes > 0 && key->text.data[bytes - 1] == ' ')
            bytes--;
        return hash_bytes((const unsigned char *)key->text.data, bytes);
    }
    }
    return 0;
}

uint32_t sy_key_bucket(const struct sy_key *key)
{
    uint32_t low = (uint32_t)sy_key_hash(key) & (SY_LIMIT_BUCKETS - 1);
    return (low + COMBINE_LOW_BITS) & (SY_LIMIT_BUCKETS - 1);
}
