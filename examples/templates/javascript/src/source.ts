// What doi.org says of a DOI: where it leads to, by the handle system's API
// (https://www.doi.org/the-identifier/resources/handbook/3-resolution). Put your source in its place.

import type { Query, Resolution } from "gleaner:resolver/types@0.1.0";
import { failure, getJson, type Host } from "./host.js";

export const BASE = "https://doi.org";

export function resolve(query: Query, host: Host): Resolution {
  const none: Resolution = { candidates: [], discovered: [], extra: [] };
  const doi = query.identifiers.find((identifier) => identifier.scheme === "doi");
  if (doi === undefined) return none;
  const path = encodeURIComponent(doi.value).replaceAll("%2F", "/");
  const answer = getJson(host, `${host.setting("base-url") ?? BASE}/api/handles/${path}?type=URL`);
  // The source does not know it: an answer, not a failure.
  if (answer === undefined) return none;
  const values = (answer as { values?: unknown } | null)?.values;
  if (!Array.isArray(values)) {
    throw failure("give-up", "unknown-shape", "doi.org answered something that lists no values");
  }
  const url = values.find((value) => value?.type === "URL")?.data?.value;
  if (typeof url !== "string") return none;
  return { ...none, candidates: [{ url, kind: "landing-page", extra: [] }] };
}
