// The back end of the page beside this file, for Node 18 or newer: it holds the key, and issues the page's tokens.
//
//   COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... POSTS=ID,ID node server.mjs
//
// PORT is 8300 unless set. ORIGIN is the address by which browsers reach the page, if that is another.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/page.js": ["page.js", "text/javascript; charset=utf-8"],
  "/style.css": ["style.css", "text/css; charset=utf-8"],
};
const METRICS = ["impressions", "engagements", "favorites", "retweets", "replies", "url_clicks"];

const gateway = (process.env.COUNTERSIGN_URL ?? "http://127.0.0.1:8080").replace(/\/+$/, "");
const key = process.env.COUNTERSIGN_KEY;
const posts = (process.env.POSTS ?? "")
  .split(",")
  .map((post) => post.trim())
  .filter(Boolean);
const port = Number(process.env.PORT ?? 8300);

if (!key) stop("set COUNTERSIGN_KEY to a key that may issue browser tokens (countersign key create NAME --browser --origins ORIGIN)");
if (posts.length === 0) stop("set POSTS to the ids of posts, separated by commas");

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.destroy();
  });
});
server.on("error", (error) => stop(error.message));
server.listen(port, "127.0.0.1", () => console.log(`the page is at ${origin()}/`));

function stop(reason) {
  console.error(`server.mjs: ${reason}`);
  process.exit(1);
}

function origin() {
  return process.env.ORIGIN ?? `http://127.0.0.1:${server.address().port}`;
}

async function answer(request, response) {
  request.resume();
  const file = FILES[request.url];
  if (request.method === "GET" && file) {
    send(response, 200, file[1], readFileSync(new URL(file[0], import.meta.url)));
  } else if (request.method === "GET" && request.url === "/page.json") {
    send(response, 200, "application/json", JSON.stringify({ gateway, posts }));
  } else if (request.method === "POST" && request.url === "/token") {
    await issueToken(request, response);
  } else {
    send(response, 404, "text/plain", "there is no such page\n");
  }
}

/** A real back end first checks its own user's session, and which posts that user may see. */
async function issueToken(request, response) {
  const { origin: from, "sec-fetch-site": site } = request.headers;
  if (site !== "same-origin" || from !== origin()) {
    return refuse(response, 403, "another_site", `only the page at ${origin()}/ gets tokens`);
  }
  const wanted = {
    origins: [origin()],
    question: { tweet_ids: posts, engagement_types: METRICS, windows: ["totals", "28hr", { last: "28d" }] },
  };
  let issued;
  try {
    issued = await fetch(`${gateway}/v1/browser-tokens`, {
      method: "POST",
      headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
      body: JSON.stringify(wanted),
      signal: AbortSignal.timeout(20_000),
    });
  } catch {
    return refuse(response, 502, "gateway_unreachable", "the back end cannot reach the gateway");
  }
  const retryAfter = issued.headers.get("Retry-After");
  if (retryAfter) response.setHeader("Retry-After", retryAfter);
  send(response, issued.status, issued.headers.get("Content-Type") ?? "application/json", await issued.text());
}

function refuse(response, status, code, detail) {
  send(response, status, "application/problem+json", JSON.stringify({ status, code, detail }));
}

function send(response, status, type, body) {
  const { origin: where } = new URL(gateway);
  response.writeHead(status, {
    "Content-Type": type,
    "Content-Length": Buffer.byteLength(body),
    "Content-Security-Policy":
      `default-src 'none'; script-src 'self' ${where}; connect-src 'self' ${where}; style-src 'self'; ` +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  });
  response.end(body);
}
