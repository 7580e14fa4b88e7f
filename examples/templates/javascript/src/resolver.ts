// Resolver `{{name}}`: the component's border. It joins the host's imports to src/source.ts, and does no more, so
// that everything else is tested without a component. wit/resolver.wit says what every type means.

import { get as setting } from "gleaner:resolver/config@0.1.0";
import { send, type HttpError } from "gleaner:resolver/http@0.1.0";
import type { Info, Query, Resolution } from "gleaner:resolver/types@0.1.0";
import type { Host } from "./host.js";
import * as source from "./source.js";

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
      name: "{{name}}",
      version: "0.1.0",
      summary: "Where a DOI leads to",
      takes: ["doi"],
      hosts: ["doi.org"],
      settings: [],
    };
  },

  resolve(query: Query): Resolution {
    return source.resolve(query, host);
  },
};
