// The host as the rest of this resolver sees it: a request that was sent, or why it was not. Must never decide
// what an answer means for the work, only what a failed request means for the queue.

import type { HttpError, Response } from "gleaner:resolver/http@0.1.0";
import type { Failure } from "gleaner:resolver/types@0.1.0";

/** What a resolver needs of its host; tests bring their own. */
export interface Host {
  get(url: string): { tag: "ok"; val: Response } | { tag: "err"; val: HttpError };
  setting(key: string): string | undefined;
}

/** The JSON of a URL; undefined where the source says 404 or 410. Throws a Failure. */
export function getJson(host: Host, url: string): unknown {
  const place = url.split("?")[0] ?? url;
  const answer = host.get(url);
  if (answer.tag === "err") throw failureOfError(place, answer.val);
  const { status, body } = answer.val;
  if (status === 404 || status === 410) return undefined;
  if (status < 200 || status > 299) throw failureOfStatus(place, status);
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    // Most likely a page of something between here and the source, or cut short: that passes.
    throw failure("retry", "bad-json", `${place} answered something that is not JSON`);
  }
}

export function failure(disposition: Failure["disposition"], code: string, message: string): Failure {
  return { disposition, code, message };
}

function failureOfError(place: string, error: HttpError): Failure {
  switch (error.tag) {
    case "denied":
      return failure("give-up", "denied", `${place} may not be asked: ${error.val}`);
    case "too-large":
      return failure("give-up", "too-large", `${place} answered more than the allowed ${error.val} bytes`);
    case "rate-limited":
      return { ...failure("rate-limited", "rate-limited", `${place} asks to slow down`), retryAfterMs: error.val };
    case "timeout":
      return failure("retry", "timeout", `${place} gave no complete answer in time`);
    case "transport":
      return failure("retry", "transport", `${place} was not reached: ${error.val}`);
  }
}

function failureOfStatus(place: string, status: number): Failure {
  const passes = status === 408 || status === 425 || status >= 500;
  const disposition = status === 429 ? "rate-limited" : passes ? "retry" : "give-up";
  const code = status === 429 ? "rate-limited" : "http-status";
  return { ...failure(disposition, code, `${place} answered with status ${status}`), upstreamStatus: status };
}
