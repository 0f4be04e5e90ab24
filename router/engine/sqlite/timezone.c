/*
 * Time zones from the system's database (TZif files, Source: RFC 8536), with the POSIX rule of the
 * footer for times after the last transition. Zones are read once and kept for ever: there are a
 * few hundred. Thread: any.
 */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "router/engine/sqlite/datetime.h"

enum { ZONE_FILE_BYTES_MAX = 64 * 1024, ABBREVIATION_BYTES = 8 };

struct rule {
    int32_t month, week,
        day; /* Mm.w.d; month 0: Julian day (Jn, week 1) or day of the year (n, week 0) */
    int32_t second;
};

struct posix {
    bool valid, has_dst;
    int32_t std_east, dst_east;
    char std_name[ABBREVIATION_BYTES], dst_name[ABBREVIATION_BYTES];
    struct rule start, end;
};

struct zone_type {
    int32_t east;
    char name[ABBREVIATION_BYTES];
};

struct sy_timezone {
    struct sy_timezone *next;
    char name[64];
    uint32_t transition_count, type_count;
    int64_t *transitions; /* seconds since 1970 */
    uint8_t *indexes;
    struct zone_type *types;
    struct posix posix;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sy_timezone *zones;

/* ---- POSIX rules: "CET-1CEST,M3.5.0,M10.5.0/3" ---- */

static const char *posix_name(const char *p, char name[ABBREVIATION_BYTES])
{
    size_t used = 0;
    bool quoted = *p == '<';
    if (quoted)
        p++;
    while (*p != '\0' && (quoted ? *p != '>' : isalpha((unsigned char)*p) != 0)) {
        if (used + 1 < ABBREVIATION_BYTES)
            name[used++] = *p;
        p++;
    }
    name[used] = '\0';
    return quoted && *p == '>' ? p + 1 : p;
}

static const char *posix_time(const char *p, int32_t *ret_seconds)
{
    int32_t sign = 1, part = 0, total = 0, unit = 3600;
    if (*p == '-' || *p == '+')
        sign = *p++ == '-' ? -1 : 1;
    for (int i = 0; i < 3; i++) {
        part = 0;
        while (isdigit((unsigned char)*p) != 0 && part < 10000)
            part = part * 10 + (*p++ - '0');
        total += part * unit;
        unit /= 60;
        if (*p != ':')
            break;
        p++;
    }
    *ret_seconds = sign * total;
    return p;
}

static const char *posix_rule(const char *p, struct rule *rule)
{
    char *end = NULL;
    *rule = (struct rule){.second = 7200};
    if (*p == 'M') {
        rule->month = (int32_t)strtol(p + 1, &end, 10);
        rule->week = *end == '.' ? (int32_t)strtol(end + 1, &end, 10) : 1;
        rule->day = *end == '.' ? (int32_t)strtol(end + 1, &end, 10) : 0;
    } else {
        rule->week = *p == 'J' ? 1 : 0;
        rule->day = (int32_t)strtol(*p == 'J' ? p + 1 : p, &end, 10);
    }
    p = end;
    return *p == '/' ? posix_time(p + 1, &rule->second) : p;
}

static bool posix_parse(const char *text, struct posix *posix)
{
    int32_t west = 0;
    *posix = (struct posix){0};
    const char *p = posix_name(text, posix->std_name);
    if (p == text || (*p != '-' && *p != '+' && isdigit((unsigned char)*p) == 0))
        return false;
    p = posix_time(p, &west);
    posix->std_east = -west;
    posix->valid = true;
    if (*p == '\0' || *p == '\n')
        return true;
    p = posix_name(p, posix->dst_name);
    posix->dst_east = posix->std_east + 3600;
    if (*p == '-' || *p == '+' || isdigit((unsigned char)*p) != 0) {
        p = posix_time(p, &west);
        posix->dst_east = -west;
    }
    if (*p != ',')
        p = ",M3.2.0,M11.1.0";
    p = posix_rule(p + 1, &posix->start);
    if (*p != ',')
        return false;
    p = posix_rule(p + 1, &posix->end);
    posix->has_dst = true;
    return *p == '\0' || *p == '\n';
}

/* Seconds since 1970, local wall clock of the zone that is left. */
static int64_t rule_time(const struct rule *rule, int32_t year)
{
    int64_t days = 0;
    if (rule->month > 0) {
        int64_t first = sq_days_from_civil(year, rule->month, 1);
        int32_t weekday = (int32_t)(((first + 6) % 7 + 7) % 7); /* 2000-01-01 was a Saturday */
        int32_t day = (rule->day - weekday + 7) % 7 + (rule->week - 1) * 7;
        while (day >= sq_days_in_month(year, rule->month))
            day -= 7;
        days = first + day;
    } else {
        bool leap = sq_days_in_month(year, 2) == 29;
        int32_t day =
            rule->week == 1 ? rule->day - 1 + (leap && rule->day >= 60 ? 1 : 0) : rule->day;
        days = sq_days_from_civil(year, 1, 1) + day;
    }
    return (days + 10957) * 86400 + rule->second;
}

static int32_t posix_offset(const struct posix *posix, int64_t utc, const char **ret_name)
{
    int32_t year = 0, month = 0, day = 0;
    bool dst = false;
    if (posix->has_dst) {
        sq_civil_from_days(sq_floor_div(utc + posix->std_east, 86400) - 10957, &year, &month, &day);
        int64_t start = rule_time(&posix->start, year) - posix->std_east;
        int64_t end = rule_time(&posix->end, year) - posix->dst_east;
        dst = start < end ? utc >= start && utc < end : utc >= start || utc < end;
    }
    if (ret_name != NULL)
        *ret_name = dst ? posix->dst_name : posix->std_name;
    return dst ? posix->dst_east : posix->std_east;
}

/* ---- TZif ---- */

static int64_t big_endian(const uint8_t *p, int bytes)
{
    uint64_t value = (p[0] & 0x80) != 0 ? UINT64_MAX : 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return (int64_t)value;
}

static bool read_types(struct sy_timezone *zone, const uint8_t *types, const uint8_t *names,
                       uint32_t names_bytes)
{
    for (uint32_t i = 0; i < zone->type_count; i++) {
        zone->types[i].east = (int32_t)big_endian(types + 6 * i, 4);
        uint32_t at = types[6 * i + 5];
        if (at >= names_bytes)
            return false;
        (void)snprintf(zone->types[i].name, ABBREVIATION_BYTES, "%.*s", (int)(names_bytes - at),
                       (const char *)names + at);
    }
    return true;
}

/* The second (64-bit) block of a version 2+ file. */
static bool parse_file(struct sy_timezone *zone, const uint8_t *data, size_t bytes)
{
    if (bytes < 44 || memcmp(data, "TZif", 4) != 0 || data[4] < '2')
        return false;
    uint32_t counts[6];
    size_t at = 0;
    for (int pass = 0; pass < 2; pass++) {
        if (bytes < at + 44)
            return false;
        for (int i = 0; i < 6; i++)
            counts[i] = (uint32_t)big_endian(data + at + 20 + 4 * i, 4);
        for (int i = 0; i < 6; i++)
            if (counts[i] > 100000)
                return false;
        at += 44;
        if (pass == 0)
            at += counts[3] * 5U + counts[4] * 6U + counts[5] + counts[2] * 8U + counts[1] +
                  counts[0];
    }
    uint32_t times = counts[3], types = counts[4], names = counts[5];
    size_t block = (size_t)times * 9 + (size_t)types * 6 + names + (size_t)counts[2] * 12 +
                   counts[1] + counts[0];
    if (bytes < at + block || types == 0)
        return false;
    zone->transition_count = times;
    zone->type_count = types;
    zone->transitions = calloc(times + 1, sizeof(*zone->transitions));
    zone->indexes = calloc(times + 1, 1);
    zone->types = calloc(types, sizeof(*zone->types));
    if (zone->transitions == NULL || zone->indexes == NULL || zone->types == NULL)
        return false;
    for (uint32_t i = 0; i < times; i++) {
        zone->transitions[i] = big_endian(data + at + 8 * i, 8);
        zone->indexes[i] = data[at + 8 * (size_t)times + i];
        if (zone->indexes[i] >= types)
            return false;
    }
    const uint8_t *type_data = data + at + 9 * (size_t)times;
    if (!read_types(zone, type_data, type_data + 6 * (size_t)types, names))
        return false;
    at += block;
    if (at + 2 < bytes && data[at] == '\n')
        (void)posix_parse((const char *)data + at + 1, &zone->posix);
    return true;
}

static void zone_free(struct sy_timezone *zone)
{
    if (zone == NULL)
        return;
    free(zone->transitions);
    free(zone->indexes);
    free(zone->types);
    free(zone);
}

static bool load_file(struct sy_timezone *zone, const char *name)
{
    char path[160];
    if (strstr(name, "..") != NULL || name[0] == '/' || name[0] == '\0')
        return false;
    (void)snprintf(path, sizeof(path), "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    uint8_t *data = calloc(1, ZONE_FILE_BYTES_MAX + 1);
    size_t bytes = data == NULL ? 0 : fread(data, 1, ZONE_FILE_BYTES_MAX, file);
    (void)fclose(file);
    bool ok = bytes > 0 && parse_file(zone, data, bytes);
    free(data);
    return ok;
}

/* Zone names are found without regard to case by trying the usual spellings. */
static bool load_any_case(struct sy_timezone *zone, const char *name)
{
    char title[64], upper[64];
    bool start = true;
    size_t i = 0;
    if (load_file(zone, name))
        return true;
    for (; name[i] != '\0' && i + 1 < sizeof(title); i++) {
        int c = (unsigned char)name[i];
        title[i] = (char)(start ? toupper(c) : tolower(c));
        upper[i] = (char)toupper(c);
        start = isalpha(c) == 0;
    }
    title[i] = upper[i] = '\0';
    if (load_file(zone, title) || load_file(zone, upper)) {
        (void)snprintf(zone->name, sizeof(zone->name), "%s",
                       load_file(zone, upper) ? upper : title);
        return true;
    }
    return false;
}

/* "+02", "-05:30": hours east, as ISO writes them; names like "UTC+3" follow POSIX (hours west). */
static bool fixed_offset(struct sy_timezone *zone, const char *name)
{
    int32_t seconds = 0;
    if (name[0] == '+' || name[0] == '-' || isdigit((unsigned char)name[0]) != 0) {
        const char *end = posix_time(name, &seconds);
        if (*end != '\0' || seconds > 15 * 3600 + 3599 || seconds < -(15 * 3600 + 3599))
            return false;
        zone->posix.valid = true;
        zone->posix.std_east = seconds;
        struct sy_buf buf = {0};
        sq_offset_out(seconds, &buf);
        (void)snprintf(zone->posix.std_name, sizeof(zone->posix.std_name), "%.*s", (int)buf.bytes,
                       buf.data);
        (void)snprintf(zone->name, sizeof(zone->name), "<%.*s>%+03d", (int)buf.bytes, buf.data,
                       -seconds / 3600);
        if (seconds % 3600 != 0)
            (void)snprintf(zone->name, sizeof(zone->name), "<%.*s>%+03d:%02d", (int)buf.bytes,
                           buf.data, -seconds / 3600, abs(seconds) / 60 % 60);
        sy_buf_release(&buf);
        return true;
    }
    return strpbrk(name, "0123456789") != NULL && posix_parse(name, &zone->posix);
}

const struct sy_timezone *sy_timezone_find(struct sy_slice name)
{
    char text[64];
    if (name.bytes == 0 || name.bytes >= sizeof(text))
        return NULL;
    memcpy(text, name.data, name.bytes);
    text[name.bytes] = '\0';
    (void)pthread_mutex_lock(&mutex);
    struct sy_timezone *zone = zones;
    while (zone != NULL && strcasecmp(zone->name, text) != 0)
        zone = zone->next;
    if (zone == NULL && (zone = calloc(1, sizeof(*zone))) != NULL) {
        (void)snprintf(zone->name, sizeof(zone->name), "%s", text);
        bool utc = strcasecmp(text, "UTC") == 0 || strcasecmp(text, "GMT") == 0 ||
                   strcasecmp(text, "Z") == 0 || strcasecmp(text, "Etc/UTC") == 0;
        if (utc) {
            zone->posix = (struct posix){.valid = true, .std_name = "UTC"};
        } else if (!load_any_case(zone, text) && !fixed_offset(zone, text)) {
            zone_free(zone);
            zone = NULL;
        }
        if (zone != NULL) {
            zone->next = zones;
            zones = zone;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
    return zone;
}

const char *sy_timezone_name(const struct sy_timezone *zone)
{
    return zone == NULL ? "UTC" : zone->name;
}

int32_t sq_zone_offset(const struct sy_timezone *zone, int64_t utc_us,
                       const char **ret_abbreviation)
{
    if (ret_abbreviation != NULL)
        *ret_abbreviation = "UTC";
    if (zone == NULL)
        return 0;
    int64_t utc = sq_floor_div(utc_us, SQ_US_PER_SEC) + SY_TYPE_EPOCH_US / SQ_US_PER_SEC;
    uint32_t count = zone->transition_count;
    if (zone->posix.valid && (count == 0 || utc >= zone->transitions[count - 1]))
        return posix_offset(&zone->posix, utc, ret_abbreviation);
    uint32_t low = 0, high = count; /* first transition after utc */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (zone->transitions[middle] <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    const struct zone_type *type = &zone->types[low == 0 ? 0 : zone->indexes[low - 1]];
    if (ret_abbreviation != NULL)
        *ret_abbreviation = type->name;
    return type->east;
}

int64_t sq_zone_to_local(const struct sy_timezone *zone, int64_t utc_us)
{
    return utc_us + sq_zone_offset(zone, utc_us, NULL) * SQ_US_PER_SEC;
}

int64_t sq_zone_to_utc(const struct sy_timezone *zone, int64_t local_us)
{
    int64_t low = local_us - SQ_US_PER_DAY, high = local_us + SQ_US_PER_DAY;
    int64_t before = sq_zone_offset(zone, low, NULL), after = sq_zone_offset(zone, high, NULL);
    if (before == after)
        return local_us - before * SQ_US_PER_SEC;
    while (high - low > 1) { /* the transition lies in between */
        int64_t middle = low + (high - low) / 2;
        if (sq_zone_offset(zone, middle, NULL) == before)
            low = middle;
        else
            high = middle;
    }
    int64_t by_before = local_us - before * SQ_US_PER_SEC,
            by_after = local_us - after * SQ_US_PER_SEC;
    if (by_before < high && by_after < high)
        return by_before;
    if (by_before > high && by_after >= high)
        return by_after;
    return by_before > by_after ? by_before : by_after;
}
