// Reads JSON from front to back, without a tree and without allocating: enter an object or an array, step
// through its members, read or skip each. Must never read past the end, nor recurse as deep as a text nests.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A place in a text. Once `bad`, nothing more is read from it.
typedef struct {
    const char *at, *end;
    bool bad;
} json;

static inline json json_of(const void *text, size_t length) {
    return (json){.at = text, .end = (const char *)text + length, .bad = false};
}

// The first character of what comes next; 0 at the end.
static inline char json_peek(json *in) {
    while (in->at < in->end && strchr(" \t\r\n", *in->at) != NULL && *in->at != 0) in->at++;
    return in->at < in->end && !in->bad ? *in->at : 0;
}

static inline bool json_take(json *in, char expected) {
    if (json_peek(in) != expected) return false;
    in->at++;
    return true;
}

// Steps into what begins with '{' or '['; false, and nothing is read, where something else stands.
static inline bool json_enter(json *in, char open) { return json_take(in, open); }

// Whether another member follows; reads the comma before it, or the closing character. `first` begins as true.
static inline bool json_more(json *in, bool *first, char close) {
    if (in->bad || json_take(in, close)) return false;
    if (!*first && !json_take(in, ',')) in->bad = true;
    *first = false;
    if (json_peek(in) == 0) in->bad = true;
    return !in->bad;
}

static inline int json_hex(const char *digits) {
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

// One character of a string, as UTF-8 into `out` (4 bytes); its length, 0 at the closing quote.
static inline int json_character(json *in, char *out) {
    if (in->at >= in->end) return in->bad = true, 0;
    char c = *in->at++;
    if (c == '"') return 0;
    if (c != '\\') return out[0] = c, 1;
    if (in->at >= in->end) return in->bad = true, 0;
    c = *in->at++;
    const char *known = "\"\\/bfnrt", *found = c != 0 ? strchr(known, c) : NULL;
    if (found != NULL) return out[0] = "\"\\/\b\f\n\r\t"[found - known], 1;
    int code = c == 'u' && in->end - in->at >= 4 ? json_hex(in->at) : -1;
    if (code < 0) return in->bad = true, 0;
    in->at += 4;
    if (code >= 0xD800 && code < 0xE000) { // half a character: the other half must follow
        int low = in->end - in->at >= 6 && in->at[0] == '\\' && in->at[1] == 'u' ? json_hex(in->at + 2) : -1;
        if (code >= 0xDC00 || low < 0xDC00 || low >= 0xE000) return in->bad = true, 0;
        in->at += 6;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        out[0] = (char)(0xF0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 63));
        return out[2] = (char)(0x80 | (code >> 6 & 63)), out[3] = (char)(0x80 | (code & 63)), 4;
    }
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) return out[0] = (char)(0xC0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    out[0] = (char)(0xE0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 63));
    return out[2] = (char)(0x80 | (code & 63)), 3;
}

// Reads a string into `out`, with a 0 behind it. False where none stands, or where it does not fit: it is read
// all the same, and `out` is empty.
static inline bool json_string(json *in, char *out, size_t size) {
    size_t length = 0;
    bool fits = true;
    out[0] = 0;
    if (!json_take(in, '"')) return false;
    for (;;) {
        char character[4];
        int bytes = json_character(in, character);
        if (bytes == 0) break;
        fits = fits && length + (size_t)bytes < size;
        if (fits) memcpy(out + length, character, (size_t)bytes), length += (size_t)bytes;
    }
    out[fits && !in->bad ? length : 0] = 0;
    return fits && !in->bad;
}

// Reads over one value, whatever it is.
static inline void json_skip(json *in) {
    size_t depth = 0;
    do {
        char c = json_peek(in), ignored[1];
        if (c == 0) {
            in->bad = true;
        } else if (c == '"') {
            json_string(in, ignored, sizeof ignored);
        } else if (c == '{' || c == '[') {
            depth++, in->at++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) in->bad = true;
            else depth--;
            in->at++;
        } else if (c == ',' || c == ':') {
            if (depth == 0) in->bad = true;
            in->at++;
        } else { // a number, true, false, null
            while (in->at < in->end && strchr(",:]}\" \t\r\n", *in->at) == NULL) in->at++;
        }
    } while (depth > 0 && !in->bad);
}

// The name of the next member of an object. False where none stands, or where it does not fit.
static inline bool json_key(json *in, char *out, size_t size) {
    bool fits = json_string(in, out, size);
    if (!json_take(in, ':')) in->bad = true;
    return fits && !in->bad;
}

#endif
