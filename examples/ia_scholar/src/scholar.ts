// What Internet Archive Scholar's catalogue (fatcat) knows of a work: the file entries of a release.
// The API: https://guide.fatcat.wiki/http_api.html, its fields: https://guide.fatcat.wiki/entity_file.html
// Must never trust a field's type: the catalogue is edited by everybody.

import type { Candidate, Query, Resolution } from "gleaner:resolver/types@0.1.0";
import { failure, getJson, type Host } from "./host.js";

export const BASE = "https://api.fatcat.wiki/v0";

/** What the catalogue can look up, the surest first: the scheme here, and the name of the parameter there. */
const LOOKUPS = [["doi", "doi"], ["pmcid", "pmcid"], ["pmid", "pmid"], ["arxiv", "arxiv"]] as const;

/** Where the archive's own copies are: they do not move and do not refuse programs. */
const ARCHIVES = new Set(["web.archive.org", "archive.org"]);

export function resolve(query: Query, host: Host): Resolution {
  const none: Resolution = { candidates: [], discovered: [], extra: [] };
  const url = lookup(query, host.setting("base-url") ?? BASE);
  if (url === undefined) return none;
  const release = getJson(host, url);
  if (release === undefined) return none;
  if (!isObject(release) || typeof release["ident"] !== "string") {
    throw failure("give-up", "unknown-shape", "the catalogue answered something that is no release");
  }
  return { ...none, candidates: candidates(release) };
}

function lookup(query: Query, base: string): string | undefined {
  for (const [scheme, parameter] of LOOKUPS) {
    const found = query.identifiers.find((identifier) => identifier.scheme === scheme);
    if (found !== undefined) {
      const name = `${parameter}=${encodeURIComponent(found.value)}`;
      return `${base.replace(/\/$/, "")}/release/lookup?${name}&expand=files&hide=abstracts,refs`;
    }
  }
  return undefined;
}

/** Every PDF of the release under each of its URLs: the archive's copies first, then where they were found. */
function candidates(release: Record<string, unknown>): Candidate[] {
  const found: Candidate[] = [];
  for (const file of list(release["files"])) {
    if (!isObject(file) || (file["mimetype"] ?? "application/pdf") !== "application/pdf") continue;
    for (const entry of list(file["urls"])) {
      const url = isObject(entry) ? httpUrl(entry["url"]) : undefined;
      if (url === undefined || found.some((known) => known.url === url.href)) continue;
      found.push({
        url: url.href,
        kind: "file",
        mediaType: "application/pdf",
        version: stage(release["release_stage"]),
        license: text(release["license_slug"]),
        hostType: isObject(entry) && entry["rel"] === "publisher" ? "publisher" : "repository",
        confidence: ARCHIVES.has(url.host) ? 0.9 : 0.5,
        extra: [],
      });
    }
  }
  return found.sort((one, other) => (other.confidence ?? 0) - (one.confidence ?? 0));
}

function httpUrl(value: unknown): URL | undefined {
  try {
    const url = new URL(text(value) ?? "");
    // The archive's frame around a copy is left out with `id_` behind the time.
    url.href = url.href.replace(/^(https?:\/\/web\.archive\.org\/web\/\d+)\//, "$1id_/");
    return url.protocol === "http:" || url.protocol === "https:" ? url : undefined;
  } catch {
    return undefined;
  }
}

function stage(value: unknown): string | undefined {
  return value === "submitted" || value === "accepted" || value === "published" ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
