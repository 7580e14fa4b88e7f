// Tests of json.h, for the machine that builds: `cc -fsanitize=address,undefined json_test.c -o t && ./t`.
#include "json.h"
#include <stdio.h>
#include <stdlib.h>

#define CHECK(what) ((what) ? (void)0 : (printf("line %d: %s\n", __LINE__, #what), exit(1)))

static void strings_are_unescaped(void) {
    char out[32];
    const char *text = "\"a\\\"\\u00e9\\u20AC\\ud83d\\ude00\\n\" ";
    json in = json_of(text, strlen(text));
    CHECK(json_string(&in, out, sizeof out));
    CHECK(strcmp(out, "a\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n") == 0);
    in = json_of("\"longer\" 1", 10);
    CHECK(!json_string(&in, out, 4) && !in.bad && out[0] == 0 && json_peek(&in) == '1');
    const char *wrong[] = {"\"open", "\"\\u12\"", "\"\\ud800x\"", "\"\\q\"", "\"\\"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        in = json_of(wrong[i], strlen(wrong[i]));
        CHECK(!json_string(&in, out, sizeof out) && in.bad);
    }
}

static void members_are_stepped_through(void) {
    const char *text = "{\"skip\": [1, {\"a\": \"}\"}, null], \"keep\": \"yes\"}";
    char key[8], value[8] = "";
    json in = json_of(text, strlen(text));
    CHECK(json_enter(&in, '{'));
    for (bool first = true; json_more(&in, &first, '}');) {
        if (json_key(&in, key, sizeof key) && strcmp(key, "keep") == 0) json_string(&in, value, sizeof value);
        else json_skip(&in);
    }
    CHECK(!in.bad && strcmp(value, "yes") == 0 && json_peek(&in) == 0);
}

// Every text that is cut short ends, and is read no further than it goes.
static void what_is_cut_short_is_bad(void) {
    const char *text = "{\"a\":[{\"b\":\"\\u00e9\"},-1.5e3,true],\"c\":{}}";
    for (size_t length = 0; length < strlen(text); length++) {
        char *copy = malloc(length + 1);
        memcpy(copy, text, length);
        json in = json_of(copy, length);
        json_skip(&in);
        CHECK(in.bad);
        free(copy);
    }
    json in = json_of(text, strlen(text));
    json_skip(&in);
    CHECK(!in.bad && in.at == in.end);
}

static void deep_nesting_costs_no_stack(void) {
    size_t length = 10000000;
    char *deep = malloc(length);
    memset(deep, '[', length);
    json in = json_of(deep, length);
    json_skip(&in);
    CHECK(in.bad);
    free(deep);
}

int main(void) {
    strings_are_unescaped();
    members_are_stepped_through();
    what_is_cut_short_is_bad();
    deep_nesting_costs_no_stack();
    puts("json.h: all tests passed");
    return 0;
}
