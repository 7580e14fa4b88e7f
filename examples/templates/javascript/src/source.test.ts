// The source against every kind of answer, without a component: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Failure, Query } from "gleaner:resolver/types@0.1.0";
import type { Host } from "./host.js";
import { resolve } from "./source.js";

const query: Query = {
  job: "1", attempt: 1, deadlineMs: 60_000, authors: [], urls: [], landingPages: [], failedUrls: [],
  identifiers: [{ scheme: "doi", value: "10.1000/a b" }],
};

const answers = (status: number, text: string): Host => ({
  get(url) {
    assert.equal(url, "https://doi.org/api/handles/10.1000/a%20b?type=URL");
    const body = new TextEncoder().encode(text);
    return { tag: "ok", val: { status, url, headers: [], body, fromCache: false } };
  },
  setting: () => undefined,
});

test("a page is found, or there is none", () => {
  const found = '{"values":[{"type":"X"},{"type":"URL","data":{"value":"https://a.example/1"}}]}';
  assert.deepEqual(resolve(query, answers(200, found)).candidates.map((one) => one.url), ["https://a.example/1"]);
  assert.deepEqual(resolve(query, answers(200, '{"values":[null,{"type":"URL"}]}')).candidates, []);
  assert.deepEqual(resolve(query, answers(404, "")).candidates, []);
});

test("every failure has its disposition", () => {
  const expected: [number, string, Failure["disposition"]][] =
    [[429, "", "rate-limited"], [500, "", "retry"], [403, "", "give-up"], [200, "{", "retry"], [200, "{}", "give-up"]];
  for (const [status, body, disposition] of expected) {
    assert.throws(() => resolve(query, answers(status, body)), (thrown: Failure) => thrown.disposition === disposition);
  }
});
