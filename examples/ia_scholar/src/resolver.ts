// Resolver `ia_scholar`: the component's border. It joins the host's imports to src/scholar.ts, and must never
// do more, so that everything else is tested without a component.

import { get as setting } from "gleaner:resolver/config@0.1.0";
import { send, type HttpError } from "gleaner:resolver/http@0.1.0";
import type { Info, Query, Resolution } from "gleaner:resolver/types@0.1.0";
import type { Host } from "./host.js";
import * as scholar from "./scholar.js";

const host: Host = {
  get(url) {
    try {
      return { tag: "ok", val: send({ method: "GET", url, headers: [{ key: "accept", value: "application/json" }] }) };
    } catch (error) {
      return { tag: "err", val: (error as { payload: HttpError }).payload };
    }
  },
  setting,
};

export const resolver = {
  describe(): Info {
    return {
      name: "ia_scholar",
      version: "0.1.0",
      summary: "The copies that Internet Archive Scholar keeps or knows of",
      takes: ["doi", "pmcid", "pmid", "arxiv"],
      hosts: ["api.fatcat.wiki"],
      settings: [{ key: "base-url", value: `where the API is, if not at ${scholar.BASE}` }],
    };
  },

  resolve(query: Query): Resolution {
    return scholar.resolve(query, host);
  },
};
