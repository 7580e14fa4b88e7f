// Resolver `{{name}}`: where a DOI leads to, by the handle system's API
// (https://www.doi.org/the-identifier/resources/handbook/3-resolution). It works as it is: put your source in its
// place. wit/resolver.wit says what every type means; `gleaner plugin build` writes gen/.
#include "gen/resolver_plugin.h"
#include "json.h"
#include <stdlib.h>
#include <string.h>

typedef resolver_plugin_string_t text;
typedef exports_gleaner_resolver_resolver_resolution_t resolution;
typedef exports_gleaner_resolver_resolver_failure_t failure;

enum { LONGEST_URL = 2000 };

// What is returned must come from malloc, because the bindings free it. Out of memory is a trap.
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

void exports_gleaner_resolver_resolver_describe(exports_gleaner_resolver_resolver_info_t *info) {
    memset(info, 0, sizeof *info);
    info->name = copy("{{name}}");
    info->version = copy("0.1.0");
    info->summary = copy("Where a DOI leads to");
    info->takes = (resolver_plugin_list_string_t){.ptr = allocate(sizeof(text)), .len = 1};
    info->takes.ptr[0] = copy("doi");
    info->hosts = (resolver_plugin_list_string_t){.ptr = allocate(sizeof(text)), .len = 1};
    info->hosts.ptr[0] = copy("doi.org");
}

static bool fail(failure *to, uint8_t disposition, const char *code, const char *message) {
    memset(to, 0, sizeof *to);
    to->disposition = disposition;
    to->code = copy(code);
    to->message = copy(message);
    return false;
}

// No answer came. What may pass is tried again.
static bool fail_of_error(failure *to, gleaner_resolver_http_error_t *error) {
    switch (error->tag) {
    case GLEANER_RESOLVER_HTTP_ERROR_DENIED:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "denied",
                    "doi.org may not be asked: grant it in [resolvers.{{name}}]");
    case GLEANER_RESOLVER_HTTP_ERROR_TOO_LARGE:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "too-large", "doi.org answered too much");
    case GLEANER_RESOLVER_HTTP_ERROR_RATE_LIMITED:
        fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RATE_LIMITED, "rate-limited", "doi.org asks to slow down");
        to->retry_after_ms = error->val.rate_limited;
        return false;
    case GLEANER_RESOLVER_HTTP_ERROR_TIMEOUT:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY, "timeout", "doi.org gave no answer in time");
    default:
        return fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY, "transport", "doi.org was not reached");
    }
}

// An answer came, and it is no success.
static bool fail_of_status(failure *to, uint16_t status) {
    bool passes = status == 408 || status == 425 || status >= 500;
    if (status == 429) {
        fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RATE_LIMITED, "rate-limited", "doi.org asks to slow down");
    } else if (passes) {
        fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_RETRY, "http-status", "doi.org is in trouble");
    } else {
        fail(to, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "http-status", "doi.org refused to answer");
    }
    to->upstream_status = (resolver_plugin_option_u16_t){.is_some = true, .val = status};
    return false;
}

// https://doi.org/api/handles/DOI?type=URL, with what a path cannot carry percent-encoded.
static void find_url(text doi, char *to) {
    static const char base[] = "https://doi.org/api/handles/", after[] = "?type=URL", hex[] = "0123456789ABCDEF";
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    size_t used = sizeof base - 1;
    memcpy(to, base, used);
    for (size_t i = 0; i < doi.len && used + 3 + sizeof after < LONGEST_URL; i++) {
        uint8_t byte = doi.ptr[i];
        if (byte != 0 && strchr(plain, byte) != NULL) {
            to[used++] = (char)byte;
        } else {
            to[used++] = '%', to[used++] = hex[byte >> 4], to[used++] = hex[byte & 15];
        }
    }
    memcpy(to + used, after, sizeof after);
}

// One of the answer's values: {"type": "URL", "data": {"value": "https://..."}}. True if it is such a one.
static bool read_value(json *in, char *url) {
    char key[10], type[10] = "", found[LONGEST_URL] = "";
    for (bool first = true; json_more(in, &first, '}');) {
        bool known = json_key(in, key, sizeof key);
        if (known && strcmp(key, "type") == 0 && json_peek(in) == '"') {
            json_string(in, type, sizeof type);
        } else if (known && strcmp(key, "data") == 0 && json_enter(in, '{')) {
            for (bool inner = true; json_more(in, &inner, '}');) {
                bool is_value = json_key(in, key, sizeof key) && strcmp(key, "value") == 0;
                if (is_value && json_peek(in) == '"') json_string(in, found, sizeof found);
                else json_skip(in);
            }
        } else {
            json_skip(in);
        }
    }
    if (strcmp(type, "URL") != 0 || found[0] == 0) return false;
    strcpy(url, found);
    return true;
}

// The first page that the answer names, or an empty text. False if this is no answer.
static bool read_answer(json in, char *url) {
    char key[10];
    bool has_values = false;
    url[0] = 0;
    if (!json_enter(&in, '{')) return false;
    for (bool first = true; json_more(&in, &first, '}');) {
        bool is_values = json_key(&in, key, sizeof key) && strcmp(key, "values") == 0;
        if (!is_values || !json_enter(&in, '[')) {
            json_skip(&in);
            continue;
        }
        has_values = true;
        for (bool first_value = true; json_more(&in, &first_value, ']');) {
            if (url[0] != 0 || !json_enter(&in, '{')) json_skip(&in);
            else read_value(&in, url);
        }
    }
    return has_values && !in.bad;
}

bool exports_gleaner_resolver_resolver_resolve(exports_gleaner_resolver_resolver_query_t *query,
                                               resolution *answer, failure *failed) {
    memset(answer, 0, sizeof *answer);
    text *doi = NULL;
    for (size_t i = 0; i < query->identifiers.len && doi == NULL; i++) {
        gleaner_resolver_types_identifier_t *one = &query->identifiers.ptr[i];
        if (one->scheme.len == 3 && memcmp(one->scheme.ptr, "doi", 3) == 0) doi = &one->value;
    }
    if (doi == NULL) return true;
    char url[LONGEST_URL];
    find_url(*doi, url);
    gleaner_resolver_http_request_t request = {.method = copy("GET"), .url = copy(url)};
    gleaner_resolver_http_response_t response;
    gleaner_resolver_http_error_t error;
    if (!gleaner_resolver_http_send(&request, &response, &error)) return fail_of_error(failed, &error);
    // The source does not know it: an answer, not a failure.
    if (response.status == 404 || response.status == 410) return true;
    if (response.status < 200 || response.status > 299) return fail_of_status(failed, response.status);
    if (!read_answer(json_of(response.body.ptr, response.body.len), url)) {
        return fail(failed, GLEANER_RESOLVER_TYPES_DISPOSITION_GIVE_UP, "unknown-shape",
                    "doi.org answered something that lists no values");
    }
    if (url[0] == 0) return true;
    answer->candidates.ptr = allocate(sizeof *answer->candidates.ptr);
    answer->candidates.len = 1;
    answer->candidates.ptr[0].url = copy(url);
    answer->candidates.ptr[0].kind = GLEANER_RESOLVER_TYPES_CANDIDATE_KIND_LANDING_PAGE;
    return true;
}
