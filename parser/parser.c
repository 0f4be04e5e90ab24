/*
 * From text to template: the scanner, the cache and the parse behind them; see parser.h.
 *
 * The cache is a chained hash table over two queues. A new template enters `probation`; one that is
 * used again moves to `protected` when its turn comes. So statements seen once wash through
 * probation and never push out those in use. Both queues give a second chance (CLOCK): a hit only
 * sets a flag.
 */
#include "parser/parser.h"

#include <stdlib.h>
#include <xxhash.h>

#include "base/limits.h"
#include "base/list.h"
#include "parser/scan.h"
#include "parser/tree.h"

enum {
    CACHE_BYTES_DEFAULT = 16 * 1024 * 1024,
    BUCKETS_MIN = 256,
    ENTRY_BYTES = 512, /* accounted for each entry beyond its arena */
};

/* A literal whose content is part of the key; text in the entry's arena. */
struct pin {
    uint32_t literal;
    struct sy_slice text;
};

struct entry {
    struct sy_template public_; /* first: a template pointer is an entry pointer */
    struct sy_list link;        /* probation or protected; unlinked: not in the cache */
    struct entry *next;         /* in its bucket */
    struct sy_arena arena;
    struct sy_slice key; /* the template text with its marks */
    struct pin *pins;
    uint32_t pin_count;
    uint64_t environment;
    bool conforming;
    bool used; /* since its queue last looked at it */
    bool is_protected;
    size_t bytes; /* accounted */
    /* Of the first text, for sy_template_position(). */
    struct sy_literal *literals;
    uint32_t literal_count;
    uint32_t body_from;
};

struct sy_parser {
    struct sy_scanner scanner;
    struct entry **buckets;
    uint32_t bucket_count; /* a power of two */
    struct sy_list probation, protected;
    size_t protected_bytes, bytes_max;
    struct sy_parser_stats stats;
};

static struct entry *entry_of(struct sy_list *link)
{
    return sy_container_of(link, struct entry, link);
}

/* ---- entries ---- */

static void free_entry(struct entry *entry)
{
    if (entry->public_.plan != NULL && entry->public_.plan_free != NULL)
        entry->public_.plan_free(entry->public_.plan);
    sy_arena_release(&entry->arena);
    free(entry);
}

void sy_template_unref(struct sy_parser *parser, struct sy_template *template_)
{
    (void)parser;
    if (template_ == NULL || --template_->refs > 0)
        return;
    free_entry((struct entry *)(void *)template_);
}

/* Takes an entry out of the table and its queue and drops the cache's reference. */
static void evict(struct sy_parser *parser, struct entry *entry)
{
    struct entry **place = &parser->buckets[entry->public_.hash & (parser->bucket_count - 1)];
    while (*place != entry)
        place = &(*place)->next;
    *place = entry->next;
    sy_list_remove(&entry->link);
    if (entry->is_protected)
        parser->protected_bytes -= entry->bytes;
    parser->stats.bytes -= entry->bytes;
    parser->stats.entries--;
    parser->stats.evictions++;
    sy_template_unref(parser, &entry->public_);
}

static void move_to(struct sy_parser *parser, struct entry *entry, bool to_protected)
{
    if (entry->is_protected)
        parser->protected_bytes -= entry->bytes;
    sy_list_remove(&entry->link);
    entry->used = false;
    entry->is_protected = to_protected;
    if (to_protected)
        parser->protected_bytes += entry->bytes;
    sy_list_append(to_protected ? &parser->protected : &parser->probation, &entry->link);
}

/* Makes room until the cache holds at most bytes_max; ends, since each step evicts or clears a
 * flag. */
static void make_room(struct sy_parser *parser)
{
    size_t protected_max = parser->bytes_max / 5 * 4;
    while (parser->stats.bytes > parser->bytes_max) {
        if (sy_list_empty(&parser->probation)) {
            struct entry *oldest = entry_of(parser->protected.next);
            move_to(parser, oldest, oldest->used);
            continue;
        }
        struct entry *entry = entry_of(parser->probation.next);
        if (entry->used)
            move_to(parser, entry, true);
        else
            evict(parser, entry);
        while (parser->protected_bytes > protected_max) {
            struct entry *oldest = entry_of(parser->protected.next);
            move_to(parser, oldest, oldest->used);
        }
    }
}

static void grow_table(struct sy_parser *parser)
{
    uint32_t count = parser->bucket_count * 2;
    struct entry **buckets = calloc(count, sizeof(*buckets));
    if (buckets == NULL)
        return; /* longer chains, still right */
    for (uint32_t i = 0; i < parser->bucket_count; i++)
        while (parser->buckets[i] != NULL) {
            struct entry *entry = parser->buckets[i];
            parser->buckets[i] = entry->next;
            entry->next = buckets[entry->public_.hash & (count - 1)];
            buckets[entry->public_.hash & (count - 1)] = entry;
        }
    free(parser->buckets);
    parser->buckets = buckets;
    parser->bucket_count = count;
}

static void insert(struct sy_parser *parser, struct entry *entry)
{
    if (parser->stats.entries >= parser->bucket_count)
        grow_table(parser);
    struct entry **place = &parser->buckets[entry->public_.hash & (parser->bucket_count - 1)];
    entry->next = *place;
    *place = entry;
    entry->public_.refs++;
    sy_list_append(&parser->probation, &entry->link);
    parser->stats.bytes += entry->bytes;
    parser->stats.entries++;
    make_room(parser);
}

/* ---- lookup ---- */

static struct sy_slice literal_text(struct sy_slice text, const struct sy_literal *literal)
{
    return (struct sy_slice){text.data + literal->from, literal->to - literal->from};
}

static bool pins_match(const struct entry *entry, const struct sy_scanner *scanner,
                       struct sy_slice text)
{
    for (uint32_t i = 0; i < entry->pin_count; i++) {
        const struct pin *pin = &entry->pins[i];
        if (!sy_slice_eq(pin->text, literal_text(text, &scanner->literals[pin->literal])))
            return false;
    }
    return true;
}

static struct entry *find(struct sy_parser *parser, struct sy_slice text, uint64_t hash,
                          const struct sy_parse_settings *settings)
{
    const struct sy_scanner *scanner = &parser->scanner;
    struct sy_slice key = {scanner->template_text, scanner->template_bytes};
    for (struct entry *entry = parser->buckets[hash & (parser->bucket_count - 1)]; entry != NULL;
         entry = entry->next)
        if (entry->public_.hash == hash && entry->environment == settings->environment &&
            entry->conforming == settings->standard_conforming_strings &&
            sy_slice_eq(entry->key, key) && pins_match(entry, scanner, text))
            return entry;
    return NULL;
}

/* ---- a miss ---- */

/* The key with ?1, ?2 ... for its marks. */
static bool printable(struct entry *entry)
{
    size_t marks = 0;
    for (size_t i = 0; i < entry->key.bytes; i++)
        marks += entry->key.data[i] == SY_SCAN_MARK;
    char *text = sy_arena_alloc(&entry->arena, entry->key.bytes + marks * 10 + 1);
    if (text == NULL)
        return false;
    size_t at = 0;
    unsigned number = 0;
    bool in_name = false;
    for (size_t i = 0; i < entry->key.bytes; i++) {
        char c = entry->key.data[i];
        in_name = in_name != (c == '"');
        if (c != SY_SCAN_MARK || in_name) {
            text[at++] = c;
            continue;
        }
        char digits[12];
        unsigned value = ++number, count = 0;
        for (; value > 0; value /= 10)
            digits[count++] = (char)('0' + value % 10);
        text[at++] = '?';
        while (count > 0)
            text[at++] = digits[--count];
        i++;
    }
    text[at] = '\0';
    entry->public_.text = (struct sy_slice){text, at};
    return true;
}

static bool keep_key(struct entry *entry, const struct sy_scanner *scanner)
{
    char *key = sy_arena_strndup(&entry->arena, scanner->template_text, scanner->template_bytes);
    size_t bytes = (size_t)scanner->literal_count * sizeof(struct sy_literal);
    entry->literals = sy_arena_alloc(&entry->arena, bytes);
    if (key == NULL || entry->literals == NULL)
        return false;
    if (bytes > 0)
        memcpy(entry->literals, scanner->literals, bytes);
    entry->literal_count = scanner->literal_count;
    entry->body_from = scanner->body_from;
    entry->key = (struct sy_slice){key, scanner->template_bytes};
    return printable(entry);
}

static bool keep_pins(struct entry *entry, const struct sy_tree_facts *made, struct sy_slice text,
                      const struct sy_scanner *scanner)
{
    entry->pins = sy_arena_calloc(&entry->arena, made->pinned_count, sizeof(*entry->pins));
    if (entry->pins == NULL)
        return false;
    for (uint32_t i = 0; i < made->pinned_count; i++) {
        uint32_t literal = made->pinned[i];
        struct sy_slice part = literal_text(text, &scanner->literals[literal]);
        part.data = sy_arena_strndup(&entry->arena, part.data, part.bytes);
        if (part.data == NULL)
            return false;
        entry->pins[entry->pin_count++] = (struct pin){.literal = literal, .text = part};
    }
    return true;
}

static enum sy_status make(struct sy_parser *parser, struct sy_slice text,
                           const struct sy_parse_settings *settings, struct entry **ret_entry,
                           struct sy_err *err)
{
    const struct sy_scanner *scanner = &parser->scanner;
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    struct sy_tree_input input = {
        .text = text,
        .body_to = scanner->body_to,
        .standard_conforming_strings = settings->standard_conforming_strings,
        .literals = scanner->literals,
        .literal_count = scanner->literal_count,
    };
    struct sy_tree_facts made = {0};
    sy_list_init(&entry->link);
    enum sy_status status = sy_tree_make_facts(&input, &entry->arena, &made, err);
    if (status == SY_OK && !scanner->bypass &&
        (!keep_key(entry, scanner) || !keep_pins(entry, &made, text, scanner)))
        status = sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    if (status != SY_OK) {
        free_entry(entry);
        return status;
    }
    entry->public_.facts = made.facts;
    entry->public_.refs = 1;
    entry->environment = settings->environment;
    entry->conforming = settings->standard_conforming_strings;
    entry->bytes = entry->arena.bytes_held + ENTRY_BYTES;
    *ret_entry = entry;
    return SY_OK;
}

static void fill_scan(const struct sy_parser *parser, struct sy_scan *scan)
{
    *scan = (struct sy_scan){
        .literals = parser->scanner.literals,
        .literal_count = parser->scanner.literal_count,
        .body_from = parser->scanner.body_from,
    };
}

enum sy_status sy_parser_parse(struct sy_parser *parser, struct sy_slice text,
                               const struct sy_parse_settings *settings,
                               struct sy_template **ret_template, struct sy_scan *ret_scan,
                               struct sy_err *err)
{
    struct sy_scanner *scanner = &parser->scanner;
    if (text.bytes > SY_LIMIT_MESSAGE_BYTES)
        return sy_err_set(err, SY_E_LIMIT, "the statement is too long");
    if (!sy_scan_text(scanner, text, settings->standard_conforming_strings))
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory while parsing");
    uint64_t hash = 0;
    struct entry *entry = NULL;
    if (!scanner->bypass) {
        hash = XXH3_64bits_withSeed(scanner->template_text, scanner->template_bytes,
                                    settings->environment);
        entry = find(parser, text, hash, settings);
    }
    if (entry != NULL) {
        parser->stats.hits++;
        entry->used = true;
        entry->public_.refs++;
    } else {
        enum sy_status status = make(parser, text, settings, &entry, err);
        if (status != SY_OK)
            return status;
        entry->public_.hash = hash;
        if (scanner->bypass || entry->bytes > parser->bytes_max / 8) {
            parser->stats.uncached++;
        } else {
            parser->stats.misses++;
            insert(parser, entry);
        }
    }
    fill_scan(parser, ret_scan);
    if (settings->hints_enabled && scanner->body_from > 0) {
        enum sy_status status = sy_scan_hints(text, &ret_scan->hints, err);
        if (status != SY_OK) {
            sy_template_unref(parser, &entry->public_);
            return status;
        }
    }
    *ret_template = &entry->public_;
    return SY_OK;
}

/* ---- positions ---- */

uint32_t sy_template_position(const struct sy_template *template_, const struct sy_scan *scan,
                              uint32_t position)
{
    const struct entry *entry = (const struct entry *)(const void *)template_;
    /* A template that is not in the cache has one text only. */
    if (entry->key.data == NULL || position < entry->body_from)
        return position;
    uint32_t low = 0, high = entry->literal_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry->literals[middle].to <= position)
            low = middle + 1;
        else
            high = middle;
    }
    /* `low` literals end at or before the position: what follows the last of them is the same in
     * both texts. */
    uint32_t here = low > 0 ? scan->literals[low - 1].to : scan->body_from;
    uint32_t there = low > 0 ? entry->literals[low - 1].to : entry->body_from;
    return here + (position - there);
}

/* ---- life cycle ---- */

enum sy_status sy_parser_new(const struct sy_parser_options *options, struct sy_parser **ret_parser,
                             struct sy_err *err)
{
    struct sy_parser *parser = calloc(1, sizeof(*parser));
    if (parser == NULL)
        return sy_err_set(err, SY_E_NO_MEMORY, "out of memory for the parser");
    parser->bucket_count = BUCKETS_MIN;
    parser->buckets = calloc(parser->bucket_count, sizeof(*parser->buckets));
    parser->bytes_max = options != NULL && options->cache_bytes_max != 0
                            ? options->cache_bytes_max
                            : (size_t)CACHE_BYTES_DEFAULT;
    sy_list_init(&parser->probation);
    sy_list_init(&parser->protected);
    const struct sy_parse_settings settings = {.standard_conforming_strings = true};
    struct sy_template *first = NULL;
    struct sy_scan scan;
    enum sy_status status = SY_E_NO_MEMORY;
    if (parser->buckets == NULL)
        sy_err_set(err, SY_E_NO_MEMORY, "out of memory for the parser");
    else
        status = sy_parser_parse(parser, SY_SLICE("SELECT 1"), &settings, &first, &scan, err);
    if (status != SY_OK) {
        sy_parser_free(&parser);
        return status;
    }
    sy_template_unref(parser, first);
    parser->stats.misses = 0;
    *ret_parser = parser;
    return SY_OK;
}

void sy_parser_free(struct sy_parser **parser)
{
    struct sy_parser *p = *parser;
    *parser = NULL;
    if (p == NULL)
        return;
    if (p->buckets != NULL) {
        while (!sy_list_empty(&p->probation))
            evict(p, entry_of(p->probation.next));
        while (!sy_list_empty(&p->protected))
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): what is freed was taken from the list */
            evict(p, entry_of(p->protected.next));
    }
    free(p->buckets);
    sy_scanner_release(&p->scanner);
    free(p);
}

struct sy_parser_stats sy_parser_stats(const struct sy_parser *parser)
{
    return parser->stats;
}

/* ---- without the cache ---- */

enum sy_status sy_parse_facts(struct sy_slice text, const struct sy_literal *literals,
                              uint32_t literal_count, struct sy_arena *arena,
                              const struct sy_facts **ret_facts, struct sy_err *err)
{
    struct sy_tree_input input = {
        .text = text,
        .body_to = (uint32_t)text.bytes,
        .standard_conforming_strings = true,
        .literals = literals,
        .literal_count = literal_count,
    };
    /* A string in plain quotes that has escapes was scanned with standard_conforming_strings off.
     */
    for (uint32_t i = 0; i < literal_count; i++)
        if (literals[i].kind == SY_LITERAL_ESCAPE_STRING && text.data[literals[i].from] == '\'')
            input.standard_conforming_strings = false;
    struct sy_tree_facts made = {0};
    enum sy_status status = sy_tree_make_facts(&input, arena, &made, err);
    if (status == SY_OK)
        *ret_facts = made.facts;
    return status;
}
