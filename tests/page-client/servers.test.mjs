// The client over real sockets, and the back ends in `examples/browser`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { after, afterEach, test } from "node:test";

import { Countersign } from "../../src/api/callers/client.js";
import { examples, runServer } from "./back_end.mjs";
import { KEY, Stub } from "./stub.mjs";

const POSTS = ["1560000000000000000", "1570000000000000000"];
const question = { engagement_types: ["favorites"] };
const claims = {
  tweet_ids: POSTS,
  engagement_types: ["impressions", "favorites"],
  windows: ["totals", { last: "28d" }],
};

let stub;
const { random } = Math;
afterEach(() => stub?.stop());
after(() => (Math.random = random));

async function connected(more = {}) {
  stub = await new Stub().start();
  const fetchToken = () => {
    const body = JSON.stringify({ question: claims });
    return fetch(`${stub.url}/v1/browser-tokens`, {
      method: "POST",
      headers: { Authorization: `Bearer ${KEY}` },
      body,
    });
  };
  return new Countersign({ url: stub.url, fetchToken, ...more });
}

test("a question takes what it leaves out from the token", async () => {
  const answer = await (await connected()).ask({});
  assert.deepEqual(Object.keys(answer.by_tweet), POSTS);
  assert.deepEqual(answer.countersign.calls, { made: 2, saved: 1 });
});

test("what widens the token is refused, with its place in the question", async () => {
  const countersign = await connected();
  for (const [asked, pointer] of [
    [{ tweet_ids: [POSTS[0], "20"] }, "/tweet_ids/1"],
    [{ window: { last: "29d" } }, "/window"],
    [{ owners: {} }, "/owners"],
  ]) {
    await assert.rejects(countersign.ask(asked), { status: 403, code: "not_allowed", pointer });
  }
  await countersign.ask({ window: { last: "36h" } });
});

test("a gateway may restart under a question", async () => {
  Math.random = () => 0.02;
  const countersign = await connected();
  await countersign.ask(question);
  const { port } = stub;
  let hung = 0;
  stub.before = () => (hung++ < 2 ? "hang up" : undefined);
  await countersign.ask(question);

  await stub.stop();
  const asked = countersign.ask(question);
  // A new gateway knows the tokens of the old one; this one does not, and the client gets over that, too.
  stub = await new Stub().start(port);
  await asked;
  assert.equal(stub.questions().length, 2);
});

test("rows are given before the answer is complete", async () => {
  const countersign = await connected();
  let goOn;
  let held = 0;
  stub.between = () => (held++ === 1 ? new Promise((resolve) => (goOn = resolve)) : undefined);
  const rows = countersign.rows(question);
  assert.equal((await rows.next()).value.tweet_id, POSTS[0]);
  while (!goOn) await new Promise(setImmediate);
  goOn();
  assert.equal((await rows.next()).value.tweet_id, POSTS[1]);
  assert.equal((await rows.next()).value.countersign.complete, true);
  assert.equal((await rows.next()).done, true);
});

test("an answer that the gateway cannot end breaks off", async () => {
  const countersign = await connected();
  let cut;
  stub.between = (row, response) => (row.countersign ? new Promise(() => (cut = () => response.destroy())) : undefined);
  const rows = countersign.rows(question);
  // Before anything has arrived, it would be asked again.
  for (const post of POSTS) assert.equal((await rows.next()).value.tweet_id, post);
  while (!cut) await new Promise(setImmediate);
  cut();
  await assert.rejects(rows.next(), { code: "cut_short", status: undefined });
});

test("whoever aborts while rows come hears so, and the gateway does, too", async () => {
  const countersign = await connected();
  const controller = new AbortController();
  const closed = new Promise((resolve) => {
    stub.between = (row, response) => {
      if (row.tweet_id !== POSTS[1]) return undefined;
      return new Promise((goOn) => response.on("close", () => (goOn(), resolve())));
    };
  });
  const rows = countersign.rows(question, { signal: controller.signal });
  await rows.next();
  controller.abort();
  await assert.rejects(rows.next(), { name: "AbortError" });
  await closed;
});

/** Asks as no browser would: with any header. */
function send(url, method, path, headers = {}) {
  return new Promise((resolve, reject) => {
    const sent = request(url + path, { method, headers }, async (response) => {
      let body = "";
      for await (const piece of response) body += piece;
      resolve({ status: response.statusCode, headers: response.headers, body });
    });
    sent.on("error", reject).end();
  });
}

for (const [language, command] of Object.entries(examples)) {
  test(`the back end in ${language} serves the page, and issues tokens to it alone`, async () => {
    stub = await new Stub().start();
    const server = await runServer(command, {
      COUNTERSIGN_URL: stub.url,
      COUNTERSIGN_KEY: KEY,
      POSTS: POSTS.join(","),
    });
    stub.origins = [server.url];
    try {
      for (const [path, file, kind] of [
        ["/", "index.html", "text/html"],
        ["/page.js", "page.js", "text/javascript"],
        ["/style.css", "style.css", "text/css"],
      ]) {
        const { status, headers, body } = await send(server.url, "GET", path);
        const text = readFileSync(new URL(`../../examples/browser/${file}`, import.meta.url), "utf8");
        assert.deepEqual([status, headers["content-type"], body === text], [200, `${kind}; charset=utf-8`, true]);
        assert.equal(
          headers["content-security-policy"],
          `default-src 'none'; script-src 'self' ${stub.url}; connect-src 'self' ${stub.url}; style-src 'self'; ` +
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        );
        assert.deepEqual([headers["x-content-type-options"], headers["referrer-policy"]], ["nosniff", "no-referrer"]);
      }
      assert.deepEqual(JSON.parse((await send(server.url, "GET", "/page.json")).body), {
        gateway: stub.url,
        posts: POSTS,
      });
      for (const [method, path] of [
        ["GET", "/server.mjs"],
        ["GET", "/../server.py"],
        ["GET", "/token"],
        ["POST", "/"],
      ]) {
        assert.equal((await send(server.url, method, path)).status, 404, path);
      }

      const own = { Origin: server.url, "Sec-Fetch-Site": "same-origin" };
      for (const wrong of [
        {},
        { Origin: server.url },
        { ...own, "Sec-Fetch-Site": "cross-site" },
        { ...own, Origin: "null" },
      ]) {
        const { status, body } = await send(server.url, "POST", "/token", wrong);
        assert.deepEqual([status, JSON.parse(body).code], [403, "another_site"]);
      }
      assert.equal(stub.log.length, 0);
      const issued = await send(server.url, "POST", "/token", own);
      const { token, renew_in } = JSON.parse(issued.body);
      assert.deepEqual(
        [issued.status, token.slice(0, 4), renew_in, issued.headers["cache-control"]],
        [201, "csb_", 540, "no-store"],
      );
      assert.deepEqual(JSON.parse(stub.log[0].body).origins, [server.url]);

      stub.beforeToken = () => [429, "key_limit", "too many", undefined, undefined, 7];
      const limited = await send(server.url, "POST", "/token", own);
      assert.deepEqual(
        [limited.status, JSON.parse(limited.body).code, limited.headers["retry-after"]],
        [429, "key_limit", "7"],
      );
      await stub.stop();
      const lost = await send(server.url, "POST", "/token", own);
      assert.deepEqual([lost.status, JSON.parse(lost.body).code], [502, "gateway_unreachable"]);
    } finally {
      await server.stop();
    }
  });

  test(`the back end in ${language} says which settings it lacks`, async () => {
    for (const [settings, name] of [
      [{ POSTS: "20" }, "COUNTERSIGN_KEY"],
      [{ COUNTERSIGN_KEY: KEY }, "POSTS"],
    ]) {
      const server = spawn(command[0], command.slice(1), { env: { PATH: process.env.PATH, PORT: "0", ...settings } });
      let text = "";
      for await (const piece of server.stderr) text += piece;
      assert.match(text, new RegExp(`^server\\.\\w+: set ${name} to `));
    }
  });
}

test("the lines that the page shows work", async () => {
  stub = await new Stub().start();
  stub.origins = ["http://127.0.0.1:8300"];
  const html = readFileSync(new URL("../../examples/browser/index.html", import.meta.url), "utf8");
  const shown = (id) => {
    const text = html
      .split(`<code id="${id}">`)[1]
      .split("</code>")[0]
      .replaceAll(/<\/?span[^>]*>/g, "");
    return text.replaceAll("&gt;", ">").replaceAll("http://127.0.0.1:8080", stub.url);
  };
  process.env.COUNTERSIGN_KEY = KEY;
  const mint = new Function(`return (async () => { ${shown("mint")} return response; })()`);
  // Node imports nothing by http, so the import is replaced.
  const ask = shown("ask")
    .replace(/^import .*$/m, "")
    .replace('fetch("/token", { method: "POST" })', "mint()");
  const printed = [];
  const { log } = console;
  console.log = (...words) => printed.push(words);
  try {
    await new Function("Countersign", "mint", `return (async () => { ${ask} })()`)(Countersign, mint);
  } finally {
    console.log = log;
  }
  assert.deepEqual(
    printed.map(([post, impressions]) => [post, Number(impressions) > 0]),
    [["1560000000000000000", true]],
  );
});
