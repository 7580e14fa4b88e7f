// Resolver `biorxiv`: the preprints of bioRxiv and medRxiv. The API's manual: https://api.biorxiv.org/
// Both servers share one DOI prefix, so both are asked at once. Must never propose a preprint whose DOI is not
// the one asked for.
#include "gen/resolver_plugin.h"
#include "json.h"
#include <stdlib.h>
#include <string.h>

#define BASE "https://api.biorxiv.org"
#define LONGEST_DOI 200

typedef resolver_plugin_string_t text;
typedef exports_gleaner_resolver_resolver_resolution_t resolution;
typedef exports_gleaner_resolver_resolver_failure_t failure;

static const char *const SERVERS[] = {"biorxiv", "medrxiv"};
enum { SERVER_COUNT = sizeof SERVERS / sizeof *SERVERS };

// --- Memory: what is returned must come from malloc, because the bindings free it. Out of memory is a trap.

static void *allocate(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) abort();
    return memory;
}

static text copy(const char *from) {
    text to;
    resolver_plugin_string_dup(&to, from);
    return to;
}

static resolver_plugin_option_string_t some(const char *from) {
    return (resolver_plugin_option_string_t){.is_some = true, .val = copy(from)};
}

static bool is(text one, const char *other) {
    return one.len == strlen(other) && memcmp(one.ptr, other, one.len) == 0;
}

// Appends to `to`, which has room for `size` bytes; what does not fit is left out.
static void append(char *to, size_t size, const char *from) {
    size_t used = strlen(to), more = strlen(from);
    if (used + more < size) memcpy(to + used, from, more + 1);
}

// --- Who this is

void exports_gleaner_resolver_resolver_describe(exports_gleaner_resolver_resolver_info_t *info) {
    info->name = copy("biorxiv");
    info->version = copy("0.1.0");
    info->summary = copy("The preprints of bioRxiv and medRxiv");
    info->takes = (resolver_plugin_list_string_t){.ptr = allocate(2 * sizeof(text)), .len = 2};
    info->takes.ptr[0] = copy("doi:10.1101/");
    info->takes.ptr[1] = copy("doi:10.64898/");
    info->hosts = (resolver_plugin_list_string_t){.ptr = allocate(sizeof(text)), .len = 1};
    info->hosts.ptr[0] = copy("api.biorxiv.org");
    info->settings.ptr = allocate(sizeof *info->settings.ptr);
    info->settings.len = 1;
    info->settings.ptr[0].key = copy("base-url");
    info->settings.ptr[0].value = copy("where the API is, if not at " BASE);
}

// --- The question

// The DOI with all but the characters that mean nothing in a path percent-encoded.
static void encode(const char *doi, char *to, size_t size) {
    static const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    to[0] = 0;
    for (; *doi != 0; doi++) {
        char c[4] = {*doi, 0, 0, 0};
        if (strchr(plain, *doi) == NULL) {
            static const char *hex = "0123456789ABCDEF";
            c[0] = '%', c[1] = hex[(unsigned char)*doi >> 4], c[2] = hex[*doi & 15];
        }
        append(to, size, c);
    }
}

static void request(gleaner_resolver_http_request_t *to, const char *base, const char *server, const char *doi) {
    char encoded[3 * LONGEST_DOI + 1], url[4 * LONGEST_DOI + 200] = "";
    encode(doi, encoded, sizeof encoded);
    append(url, sizeof url, base);
    append(url, sizeof url, "/details/");
    append(url, sizeof url, server);
    append(url, sizeof url, "/");
    append(url, sizeof url, encoded);
    append(url, sizeof url, "/na/json");
    to->method = copy("GET");
    to->url = copy(url);
}

// --- What went wrong

static bool fail(failure *to, uint8_t disposition, const char *code, const char *server, const char *what) {
    char message[400] = "the API of ";
    append(message, sizeof message, server);
    append(message, sizeof message, what);
    memset(to, 0, sizeof *to);
    to->disposition = disposition;
    to->code = copy(code);
    to->message = copy(message);
    return false;
}

// No answer came. What the host says of it is not repeated: it has it in its log.
static bool fail_of_error(failure *to, const char *server, gleaner_resolver_http_error_t *error) {
    switch (error->tag) {
    case GLEANER_RESOLVER_HTTP_ERROR_DENIED:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "denied", server,
                    " may not be asked: grant its host in [resolvers.biorxiv]");
    case GLEANER_RESOLVER_HTTP_ERROR_TOO_LARGE:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "too-large", server, " answered too much");
    case GLEANER_RESOLVER_HTTP_ERROR_RATE_LIMITED:
        fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RATE_LIMITED, "rate-limited", server, " asks to slow down");
        to->retry_after_ms = error->val.rate_limited;
        return false;
    case GLEANER_RESOLVER_HTTP_ERROR_TIMEOUT:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY, "timeout", server, " gave no answer in time");
    default:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY, "transport", server, " was not reached");
    }
}

// An answer came, and it is no success: what may pass is tried again, anything else is not.
static bool fail_of_status(failure *to, const char *server, uint16_t status) {
    bool passes = status == 408 || status == 425 || status >= 500;
    uint8_t disposition = status == 429 ? GLEANER_RESOLVER_TYPES_DISPOSITION_RATE_LIMITED
                          : passes      ? GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY
                                        : GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP;
    char what[] = " answered with status 000";
    char *digits = what + sizeof what - 4;
    digits[0] = (char)('0' + status / 100 % 10), digits[1] = (char)('0' + status / 10 % 10);
    digits[2] = (char)('0' + status % 10);
    fail(to, disposition, status == 429 ? "rate-limited" : "http-status", server, what);
    to->upstream_status = (resolver_plugin_option_u16_t){.is_some = true, .val = status};
    return false;
}

// --- The answer

// One posted version of a preprint.
typedef struct {
    char doi[LONGEST_DOI + 1], version[8], license[40], published[LONGEST_DOI + 1];
} record;

static record read_record(json *in) {
    record it = {0};
    char key[20];
    for (bool first = true; json_more(in, &first, '}');) {
        bool known = json_key(in, key, sizeof key);
        if (json_peek(in) != '"') json_skip(in);
        else if (known && strcmp(key, "doi") == 0) json_string(in, it.doi, sizeof it.doi);
        else if (known && strcmp(key, "version") == 0) json_string(in, it.version, sizeof it.version);
        else if (known && strcmp(key, "license") == 0) json_string(in, it.license, sizeof it.license);
        else if (known && strcmp(key, "published") == 0) json_string(in, it.published, sizeof it.published);
        else json_skip(in);
    }
    return it;
}

// A DOI is the same in upper and lower case; the host gives it in lower case.
static bool same_doi(const char *one, const char *lower) {
    for (; *one != 0 && *lower != 0; one++, lower++) {
        char c = *one >= 'A' && *one <= 'Z' ? (char)(*one | 32) : *one;
        if (c != *lower) return false;
    }
    return *one == *lower;
}

// The newest version of the preprint asked for, version 0 if there is none. False if this is no answer.
static bool read_answer(json in, const char *doi, record *newest, int *version) {
    char key[20];
    bool has_collection = false;
    *version = 0;
    if (!json_enter(&in, '{')) return false;
    for (bool first = true; json_more(&in, &first, '}');) {
        bool is_collection = json_key(&in, key, sizeof key) && strcmp(key, "collection") == 0;
        if (!is_collection || !json_enter(&in, '[')) {
            json_skip(&in);
            continue;
        }
        has_collection = true;
        for (bool first_record = true; json_more(&in, &first_record, ']');) {
            if (!json_enter(&in, '{')) {
                json_skip(&in);
                continue;
            }
            record it = read_record(&in);
            if (same_doi(it.doi, doi) && atoi(it.version) > *version) *newest = it, *version = atoi(it.version);
        }
    }
    return has_collection && !in.bad;
}

static void propose(resolution *to, const char *server, const char *doi, const record *it, int version) {
    char encoded[3 * LONGEST_DOI + 1], url[4 * LONGEST_DOI + 200] = "https://www.", digits[8] = "";
    for (int rest = version, at = 0; rest > 0 && at < 7; rest /= 10, at++) {
        memmove(digits + 1, digits, 7);
        digits[0] = (char)('0' + rest % 10);
    }
    encode(doi, encoded, sizeof encoded);
    append(url, sizeof url, server);
    append(url, sizeof url, ".org/content/");
    append(url, sizeof url, encoded);
    append(url, sizeof url, "v");
    append(url, sizeof url, digits);
    append(url, sizeof url, ".full.pdf");
    to->candidates.ptr = allocate(sizeof *to->candidates.ptr);
    to->candidates.len = 1;
    gleaner_resolver_types_candidate_t *candidate = to->candidates.ptr;
    candidate->url = copy(url);
    candidate->kind = GLEANER_RESOLVER_TYPES_CANDIDATE_KIND_FILE;
    candidate->media_type = some("application/pdf");
    candidate->version = some("submitted");
    candidate->host_type = some("repository");
    if (it->license[0] != 0) candidate->license = some(it->license);
    // Where a journal has published it since. It is another work, so it is told, not asked for.
    if (it->published[0] != 0 && strcmp(it->published, "NA") != 0) {
        to->extra.ptr = allocate(sizeof *to->extra.ptr);
        to->extra.len = 1;
        to->extra.ptr[0].key = copy("published-as");
        to->extra.ptr[0].value = copy(it->published);
    }
}

// True with an answer in `found`, which may be none; false with a failure.
static bool read_response(gleaner_resolver_http_result_response_error_t *response, const char *server,
                          const char *doi, resolution *found, failure *failed) {
    if (response->is_err) return fail_of_error(failed, server, &response->val.err);
    uint16_t status = response->val.ok.status;
    if (status == 404 || status == 410) return true;
    if (status < 200 || status > 299) return fail_of_status(failed, server, status);
    record newest;
    int version;
    json body = json_of(response->val.ok.body.ptr, response->val.ok.body.len);
    if (!read_answer(body, doi, &newest, &version)) {
        return fail(failed, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "unknown-shape", server,
                    " answered something that is no list of preprints");
    }
    if (version > 0) propose(found, server, doi, &newest, version);
    return true;
}

// --- Where can this work be had?

static bool find_doi(const exports_gleaner_resolver_resolver_query_t *query, char *to, size_t size) {
    for (size_t i = 0; i < query->identifiers.len; i++) {
        gleaner_resolver_types_identifier_t *one = &query->identifiers.ptr[i];
        if (!is(one->scheme, "doi") || one->value.len >= size) continue;
        memcpy(to, one->value.ptr, one->value.len);
        to[one->value.len] = 0;
        return true;
    }
    return false;
}

static void find_base(char *to, size_t size) {
    text key, value;
    resolver_plugin_string_set(&key, "base-url");
    to[0] = 0;
    append(to, size, BASE);
    if (!gleaner_resolver_config_get(&key, &value)) return;
    if (value.len < size) memcpy(to, value.ptr, value.len), to[value.len] = 0;
    resolver_plugin_string_free(&value);
    size_t length = strlen(to);
    if (length > 0 && to[length - 1] == '/') to[length - 1] = 0;
}

bool exports_gleaner_resolver_resolver_resolve(exports_gleaner_resolver_resolver_query_t *query,
                                               resolution *answer, failure *failed) {
    char doi[LONGEST_DOI + 1], base[200];
    memset(answer, 0, sizeof *answer);
    if (!find_doi(query, doi, sizeof doi)) return true;
    find_base(base, sizeof base);
    gleaner_resolver_http_list_request_t requests = {
        .ptr = allocate(SERVER_COUNT * sizeof(gleaner_resolver_http_request_t)), .len = SERVER_COUNT};
    for (size_t i = 0; i < SERVER_COUNT; i++) request(&requests.ptr[i], base, SERVERS[i], doi);
    gleaner_resolver_http_list_result_response_error_t responses;
    gleaner_resolver_http_send_all(&requests, &responses);
    bool all_answered = true;
    for (size_t i = 0; i < SERVER_COUNT && i < responses.len && answer->candidates.len == 0; i++) {
        all_answered = read_response(&responses.ptr[i], SERVERS[i], doi, answer, failed) && all_answered;
    }
    // One server's failure is no answer, unless the other one has the preprint.
    return answer->candidates.len > 0 || all_answered;
}
