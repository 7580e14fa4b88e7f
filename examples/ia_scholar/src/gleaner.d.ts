// The interface of wit/resolver.wit as TypeScript sees it: kebab-case becomes camelCase, an absent option is
// undefined, 64-bit numbers are bigint. What each item means stands there.

declare module "gleaner:resolver/types@0.1.0" {
  export interface Identifier { scheme: string; value: string }
  export interface Field { key: string; value: string }
  export interface Query {
    job: string;
    attempt: number;
    deadlineMs: number;
    identifiers: Identifier[];
    title?: string;
    authors: string[];
    year?: number;
    urls: string[];
    landingPages: string[];
    failedUrls: string[];
    metadata?: string;
  }
  export interface Candidate {
    url: string;
    kind: "file" | "landing-page";
    mediaType?: string;
    version?: string;
    license?: string;
    hostType?: string;
    confidence?: number;
    extra: Field[];
  }
  export interface Resolution { candidates: Candidate[]; discovered: Identifier[]; extra: Field[] }
  /** Thrown by `resolve` where there is no answer. */
  export interface Failure {
    disposition: "retry" | "rate-limited" | "give-up";
    code: string;
    message: string;
    retryAfterMs?: bigint;
    upstreamStatus?: number;
  }
  export interface Info {
    name: string;
    version: string;
    summary: string;
    takes: string[];
    hosts: string[];
    settings: Field[];
  }
}

declare module "gleaner:resolver/http@0.1.0" {
  import type { Field } from "gleaner:resolver/types@0.1.0";
  export interface Request {
    method: string;
    url: string;
    headers: Field[];
    body?: Uint8Array;
    timeoutMs?: number;
    maxBytes?: bigint;
  }
  export interface Response { status: number; url: string; headers: Field[]; body: Uint8Array; fromCache: boolean }
  export type HttpError =
    | { tag: "denied"; val: string }
    | { tag: "timeout" }
    | { tag: "too-large"; val: bigint }
    | { tag: "rate-limited"; val?: bigint }
    | { tag: "transport"; val: string };
  /** Throws an error whose `payload` is an {@link HttpError}. */
  export function send(request: Request): Response;
  export function sendAll(requests: Request[]): ({ tag: "ok"; val: Response } | { tag: "err"; val: HttpError })[];
}

declare module "gleaner:resolver/config@0.1.0" {
  export function get(key: string): string | undefined;
}

declare module "gleaner:resolver/log@0.1.0" {
  import type { Field } from "gleaner:resolver/types@0.1.0";
  export function log(level: "debug" | "info" | "warn" | "error", message: string, fields: Field[]): void;
}

declare module "gleaner:resolver/clock@0.1.0" {
  export function nowMs(): bigint;
}
