// The resolver against every kind of answer, without a component: `npm test`.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpError, Response } from "gleaner:resolver/http@0.1.0";
import type { Failure, Query } from "gleaner:resolver/types@0.1.0";
import type { Host } from "./host.js";
import { resolve } from "./scholar.js";

const query: Query = {
  job: "1", attempt: 1, deadlineMs: 60_000, authors: [], urls: [], landingPages: [], failedUrls: [],
  identifiers: [{ scheme: "pmid", value: "9" }, { scheme: "doi", value: "10.1000/a b" }],
};

const RELEASE = {
  ident: "aaaa", release_stage: "accepted", license_slug: "CC-BY",
  files: [
    null, 7, { urls: null }, { mimetype: "text/html", urls: [{ url: "https://x.example/a.html" }] },
    { mimetype: "application/pdf", urls: [
      { rel: "publisher", url: "https://press.example.org/a.pdf" }, { url: 3 }, { url: "ftp://x.example/a.pdf" },
      { rel: "webarchive", url: "https://web.archive.org/web/20200101000000/https://press.example.org/a.pdf" },
      { rel: "publisher", url: "https://press.example.org/a.pdf" },
    ] },
  ],
};

class Fake implements Host {
  asked: string[] = [];
  constructor(private answer: { tag: "ok"; val: Response } | { tag: "err"; val: HttpError }, private base?: string) {}
  get(url: string) { this.asked.push(url); return this.answer; }
  setting() { return this.base; }
}

const answers = (status: number, body: unknown) => {
  const bytes = new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  return new Fake({ tag: "ok", val: { status, url: "", headers: [], body: bytes, fromCache: false } });
};

const failureOf = (host: Host): Failure => {
  try { resolve(query, host); } catch (thrown) { return thrown as Failure; }
  throw new Error("it did not fail");
};

test("the archive's copies come first, and what is no PDF or URL is left out", () => {
  const host = answers(200, RELEASE);
  const { candidates } = resolve(query, host);
  assert.deepEqual(candidates.map((one) => [one.url, one.hostType, one.version, one.license]), [
    ["https://web.archive.org/web/20200101000000id_/https://press.example.org/a.pdf", "repository", "accepted", "CC-BY"],
    ["https://press.example.org/a.pdf", "publisher", "accepted", "CC-BY"],
  ]);
  assert.deepEqual(host.asked,
    ["https://api.fatcat.wiki/v0/release/lookup?doi=10.1000%2Fa%20b&expand=files&hide=abstracts,refs"]);
});

test("an unknown work, and one without a known name, is no failure", () => {
  assert.deepEqual(resolve(query, answers(404, "not found")).candidates, []);
  assert.deepEqual(resolve(query, answers(200, { ident: "a" })).candidates, []);
  const host = answers(200, RELEASE);
  assert.deepEqual(resolve({ ...query, identifiers: [{ scheme: "isbn", value: "1" }] }, host).candidates, []);
  assert.deepEqual(host.asked, []);
});

test("every failure has its disposition", () => {
  const expected: [Fake, Failure["disposition"], string][] = [
    [answers(429, ""), "rate-limited", "rate-limited"], [answers(503, ""), "retry", "http-status"],
    [answers(400, ""), "give-up", "http-status"], [answers(200, "<html>"), "retry", "bad-json"],
    [answers(200, []), "give-up", "unknown-shape"], [answers(200, { error: 1 }), "give-up", "unknown-shape"],
    [new Fake({ tag: "err", val: { tag: "timeout" } }), "retry", "timeout"],
    [new Fake({ tag: "err", val: { tag: "transport", val: "dns" } }), "retry", "transport"],
    [new Fake({ tag: "err", val: { tag: "denied", val: "rule" } }), "give-up", "denied"],
    [new Fake({ tag: "err", val: { tag: "too-large", val: 9n } }), "give-up", "too-large"],
  ];
  for (const [host, disposition, code] of expected) {
    const failure = failureOf(host);
    assert.deepEqual([failure.disposition, failure.code], [disposition, code]);
  }
  const limited = failureOf(new Fake({ tag: "err", val: { tag: "rate-limited", val: 5000n } }));
  assert.deepEqual([limited.disposition, limited.retryAfterMs], ["rate-limited", 5000n]);
});
