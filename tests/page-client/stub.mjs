// Stands in for a gateway: browser tokens, their errors and CORS, and numbers that follow from the question.

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const CLIENT = readFileSync(new URL("../../src/api/callers/client.js", import.meta.url));
const EXPOSED = "Countersign-Complete, Countersign-Missing, Countersign-Error, Retry-After, Age, X-Request-Id";
const HOUR = 3_600_000;
// Tests do not depend on the day.
const NOW = Date.parse("2026-03-10T21:15:30Z");

export const KEY = "csk_stub";

export class Stub {
  /** What was asked: method, path, headers and body of each request, except for the client's. */
  log = [];
  /** Called with each question before it is answered; whatever it returns is the answer instead. */
  before = () => undefined;
  /** Called between two lines of an answer. */
  between = async () => undefined;
  tokens = new Map();
  origins = [];
  /** Posts whose authors are not connected. */
  strangers = [];

  async start(port = 0) {
    this.server = createServer((request, response) => this.#answer(request, response).catch(() => response.destroy()));
    await new Promise((resolve, reject) => this.server.on("error", reject).listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  expireAll() {
    for (const token of this.tokens.values()) token.state = "token_expired";
  }

  withdrawAll() {
    for (const token of this.tokens.values()) token.state = "token_withdrawn";
  }

  questions() {
    return this.log.filter(({ method, path }) => method === "POST" && path === "/v1/engagement");
  }

  async #answer(request, response) {
    let body = "";
    for await (const piece of request) body += piece;
    const { method, headers, url: path } = request;
    if (method === "GET" && path === "/v1/client.js") {
      const about = {
        "Content-Type": "text/javascript",
        "Access-Control-Allow-Origin": "*",
        "X-Content-Type-Options": "nosniff",
      };
      return response.writeHead(200, about).end(CLIENT);
    }
    this.log.push({ method, path, headers, body });
    if (method === "POST" && path === "/v1/browser-tokens") return this.#issue(headers, body, response);
    if (path !== "/v1/engagement") return problem(response, 404, "not_found");
    response.setHeader("Vary", "Origin");
    if (this.origins.includes(headers.origin)) {
      response.setHeader("Access-Control-Allow-Origin", headers.origin);
      response.setHeader("Access-Control-Expose-Headers", EXPOSED);
    }
    if (method === "OPTIONS") return this.#preflight(headers, response);
    return this.#question(request, response, JSON.parse(body));
  }

  #issue(headers, body, response) {
    const instead = this.beforeToken?.();
    if (instead) return problem(response, ...instead);
    if (headers.authorization !== `Bearer ${KEY}`) return problem(response, 401, "unknown_key");
    const { question, origins = this.origins, expires_in = "10m" } = JSON.parse(body);
    if (!origins.every((origin) => this.origins.includes(origin))) return problem(response, 403, "origin_not_allowed");
    const token = `csb_${randomBytes(24).toString("base64url")}`;
    this.tokens.set(token, { question, origins, state: "alive" });
    const seconds = expires_in.endsWith("m") ? 60 * parseInt(expires_in, 10) : parseInt(expires_in, 10);
    const times = { expires_in: seconds, renew_in: 0.9 * seconds, expires_at: "2026-03-10T21:25:30Z" };
    json(response, 201, { token, id: `bt_${this.tokens.size}`, ...times });
  }

  #preflight(headers, response) {
    if (response.hasHeader("Access-Control-Allow-Origin")) {
      response.setHeader("Access-Control-Allow-Methods", "POST");
      response.setHeader("Access-Control-Allow-Headers", "authorization, content-type, accept, countersign-deadline");
      response.setHeader("Access-Control-Max-Age", "7200");
    }
    response.writeHead(204).end();
  }

  async #question({ headers }, response, asked) {
    const instead = this.before(asked, headers);
    if (instead === "hang up") return response.destroy();
    if (instead) return problem(response, ...instead);
    const token = this.tokens.get((headers.authorization ?? "").replace("Bearer ", ""));
    if (!token) return problem(response, 401, "token_invalid");
    if (token.state !== "alive") return problem(response, 401, token.state);
    if (headers.origin && !token.origins.includes(headers.origin)) return problem(response, 403, "origin_not_allowed");
    const wide = widened(asked, token.question);
    if (wide) return problem(response, 403, "not_allowed", `${wide}: is not in the token`, wide);
    const { rows, missing } = this.#numbers({ ...token.question, ...asked });
    const report = { complete: missing.length === 0, calls: { made: 2, saved: 1 }, missing, notes: [] };
    if (rows.length === 0)
      return problem(response, 404, "nothing_answered", "1 post is by a stranger", undefined, missing);
    if (headers.accept !== "application/x-ndjson") return json(response, 200, { ...nested(rows), countersign: report });
    response.writeHead(200, { "Content-Type": "application/x-ndjson" });
    for (const row of [...rows, { countersign: report }]) {
      await this.between(row, response);
      if (response.destroyed) return;
      response.write(`${JSON.stringify(row)}\n`);
    }
    response.end();
  }

  #numbers({ tweet_ids, engagement_types, window = "totals", groupings }) {
    const levels = groupings ?? { by_tweet: { group_by: ["tweet.id", "engagement.type"] } };
    const [[grouping, { group_by }]] = Object.entries(levels);
    const known = tweet_ids.filter((post) => !this.strangers.includes(post));
    const hours = { totals: 1, "28hr": 29 }[window] ?? 24 * parseInt(window.last, 10);
    const sums = new Map();
    for (const post of known) {
      for (const engagement_type of engagement_types) {
        for (let hour = 0; hour < hours; hour++) {
          const at = new Date(NOW - (hours - 1 - hour) * HOUR).toISOString();
          const all = {
            "tweet.id": post,
            "engagement.type": engagement_type,
            "engagement.day": at.slice(0, 10),
            "engagement.hour": at.slice(11, 13),
          };
          const key = JSON.stringify(group_by.map((level) => all[level]));
          sums.set(key, (sums.get(key) ?? 0) + count(post, engagement_type, hour, hours));
        }
      }
    }
    const names = group_by.map((level) =>
      level.replace("engagement.day", "day").replace("engagement.hour", "hour").replace(".", "_"),
    );
    const rows = [...sums].map(([key, value]) => {
      const keys = JSON.parse(key).map((text, index) => [names[index], text]);
      return { grouping, ...Object.fromEntries(keys), value };
    });
    const lost = tweet_ids.filter((post) => this.strangers.includes(post));
    const missing =
      lost.length === 0
        ? []
        : [{ tweet_ids: lost, engagement_types, reason: "not_connected", windows: [], detail: "" }];
    return { rows, missing };
  }
}

/** An invented number: posts differ in size, hours have a rhythm, and totals are large. */
function count(post, type, hour, hours) {
  const share =
    { impressions: 1000, engagements: 60, favorites: 15, retweets: 4, replies: 2, url_clicks: 8 }[type] ?? 1;
  const size = 1 + (Number(BigInt(post) % 97n) % 7);
  const fade = hours === 1 ? 40 : 4 / (1 + hour / (hours / 6));
  return Math.round((share * size * fade * (1.2 + Math.sin((hour * Math.PI) / 12))) / 4);
}

function widened(asked, claims) {
  for (const name of ["accounts", "owners"]) if (name in asked) return `/${name}`;
  for (const name of ["tweet_ids", "engagement_types"]) {
    const index = (asked[name] ?? []).findIndex((each) => !claims[name].includes(each));
    if (index >= 0) return `/${name}/${index}`;
  }
  const length = (window) => window.last && (window.last.endsWith("d") ? 24 : 1) * parseInt(window.last, 10);
  const window = asked.window ?? "totals";
  const isIn = (claims.windows ?? ["totals"]).some((each) => each === window || length(window) <= length(each));
  return isIn ? undefined : "/window";
}

function nested(rows) {
  const tree = {};
  for (const { value, ...keys } of rows) {
    const path = Object.values(keys);
    const last = path.pop();
    path.reduce((level, key) => (level[key] ??= {}), tree)[last] = String(value);
  }
  return tree;
}

function json(response, status, body) {
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
}

function problem(
  response,
  status,
  code,
  detail = "as told",
  pointer = undefined,
  missing = undefined,
  retryAfter = undefined,
) {
  const problems = pointer ? [{ pointer, detail }] : [];
  const more = retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) };
  response.writeHead(status, { "Content-Type": "application/problem+json", "Countersign-Error": code, ...more });
  const type = `urn:countersign:problem:${code}`;
  response.end(
    JSON.stringify({ type, title: code, status, detail, code, request_id: "r1", errors: [detail], problems, missing }),
  );
}
