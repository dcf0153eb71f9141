// The client with a scripted network and a clock that waits move.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, test } from "node:test";

import { Countersign, CountersignError } from "../../src/api/callers/client.js";

const MOST_BYTES = 6000;
const real = { fetch: globalThis.fetch, setTimeout: globalThis.setTimeout, random: Math.random, date: Date.now };
const question = { engagement_types: ["favorites"] };
const good = () => Response.json({ by_tweet: {}, countersign: { complete: true } });
const network = () => {
  throw new TypeError("fetch failed");
};
const refusal =
  (status, code, more = {}, headers = {}) =>
  () =>
    Response.json({ status, code, detail: "as told", request_id: "r1", ...more }, { status, headers });

let now, waits, asked, script, issued;

beforeEach(() => {
  [now, waits, asked, script, issued] = [5000, [], [], [], 0];
  performance.now = () => now;
  Math.random = () => 1;
  globalThis.setTimeout = (callback, ms) => {
    waits.push(ms);
    now += ms;
    return setImmediate(callback);
  };
  globalThis.fetch = async (url, options) => {
    asked.push({ url, ...options });
    return (script.shift() ?? good)(options);
  };
});

afterEach(() => {
  delete performance.now;
  [globalThis.fetch, globalThis.setTimeout, Math.random, Date.now] = [
    real.fetch,
    real.setTimeout,
    real.random,
    real.date,
  ];
});

function client(more = {}) {
  const fetchToken = async () => ({ token: `csb_${++issued}`, expires_in: 600, renew_in: 540 });
  return new Countersign({ url: "https://gateway.example.com/", fetchToken, ...more });
}

const used = () => asked.map(({ headers }) => headers.get("Authorization"));

async function failure(promise) {
  const error = await promise.then(
    () => assert.fail("it did not fail"),
    (reason) => reason,
  );
  assert(error instanceof CountersignError, String(error));
  return error;
}

test("it is small", () => {
  const { length } = readFileSync(new URL("../../src/api/callers/client.js", import.meta.url));
  assert(length < MOST_BYTES, `${length} bytes`);
});

test("a question is posted as it is, with the token in one header alone", async () => {
  const it = client();
  await it.ask(question, { deadline: "20s" });
  const [{ url, method, body, headers, credentials, redirect, cache }] = asked;
  assert.equal(url, "https://gateway.example.com/v1/engagement");
  assert.deepEqual(
    [method, body, credentials, redirect, cache],
    ["POST", JSON.stringify(question), "omit", "error", undefined],
  );
  assert.deepEqual(
    [...headers],
    [
      ["accept", "application/json"],
      ["authorization", "Bearer csb_1"],
      ["content-type", "application/json"],
      ["countersign-deadline", "20s"],
    ],
  );
  assert.equal(JSON.stringify(it), "{}");
});

test("an address may have a path, and must be one", async () => {
  await client({ url: "https://example.com/gateway//" }).ask(question);
  assert.equal(asked[0].url, "https://example.com/gateway/v1/engagement");
  assert.throws(() => client({ url: "gateway" }), TypeError);
});

test("a token is renewed once renew_in has passed, whatever the page's clock says", async () => {
  const it = client();
  await it.ask(question);
  for (const jump of [3_600_000, -7_200_000]) {
    Date.now = () => real.date() + jump;
    now += 269_000;
    await it.ask(question);
  }
  assert.equal(issued, 1);
  now += 2_000;
  await it.ask(question);
  assert.deepEqual(used(), ["Bearer csb_1", "Bearer csb_1", "Bearer csb_1", "Bearer csb_2"]);
});

for (const code of ["token_expired", "token_withdrawn", "token_invalid"]) {
  test(`after ${code} it asks again with a new token, once`, async () => {
    script = [refusal(401, code)];
    await client().ask(question);
    assert.deepEqual(used(), ["Bearer csb_1", "Bearer csb_2"]);

    script = [refusal(401, code), refusal(401, code)];
    assert.equal((await failure(client().ask(question))).code, code);
    assert.deepEqual([asked.length, waits], [4, []]);
  });
}

test("parallel questions share a renewal", async () => {
  const it = client();
  await Promise.all(Array.from({ length: 5 }, () => it.ask(question)));
  assert.equal(issued, 1);
  script = Array(5).fill(refusal(401, "token_expired"));
  await Promise.all(Array.from({ length: 5 }, () => it.ask(question)));
  assert.equal(issued, 2);
});

test("a question that was refused late does not discard a newer token", async () => {
  const it = client();
  let late;
  script = [() => new Promise((resolve) => (late = resolve)), refusal(401, "token_expired"), good, good];
  const first = it.ask(question);
  await new Promise(setImmediate);
  await it.ask(question);
  late(refusal(401, "token_expired")());
  await first;
  assert.equal(issued, 2);
});

test("it goes on after network errors, with a back-off that grows to half a minute", async () => {
  script = Array(9).fill(network);
  await client({ patience: Infinity }).ask(question);
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

test("waits are drawn between nothing and the back-off", async () => {
  Math.random = () => 0.25;
  script = [
    network,
    refusal(502, "upstream_unreachable"),
    refusal(503, "busy", {}, { "Retry-After": "3" }),
    refusal(504, "upstream_timeout"),
  ];
  await client().ask(question);
  assert.deepEqual(waits, [125, 250, 3000, 1000]);
});

test("patience ends, with the last error", async () => {
  script = Array(20).fill(network);
  await assert.rejects(client().ask(question), { name: "TypeError", message: "fetch failed" });
  assert.deepEqual([waits.length, now - 5000 <= 60_000], [6, true]);
});

test("an outage that outlives a token ends with a new one", async () => {
  script = [refusal(401, "token_expired"), network, refusal(401, "token_expired")];
  await client().ask(question);
  assert.equal(issued, 3);
});

test("a limit is waited for if it ends within patience", async () => {
  script = [refusal(429, "browser_limit", {}, { "Retry-After": "5" })];
  await client().ask(question);
  assert.deepEqual(waits, [5000]);

  script = [refusal(429, "browser_limit", {}, { "Retry-After": "120" })];
  const { code, status, retryAfter } = await failure(client().ask(question));
  assert.deepEqual([code, status, retryAfter, waits.length], ["browser_limit", 429, 120, 1]);

  script = [refusal(429, "browser_limit")];
  assert.equal((await failure(client().ask(question))).retryAfter, undefined);
});

test("what another try cannot change is told at once", async () => {
  const problems = [{ pointer: "/tweet_ids/3", detail: "is not in the token" }];
  script = [refusal(403, "not_allowed", { problems })];
  const { message, status, code, detail, pointer, requestId, problem } = await failure(client().ask(question));
  assert.equal(message, "not_allowed: as told");
  assert.deepEqual([status, code, detail, pointer, requestId], [403, "not_allowed", "as told", "/tweet_ids/3", "r1"]);
  assert.deepEqual(problem.problems, problems);

  script = [() => new Response("<h1>Too large</h1>", { status: 413, statusText: "Content Too Large" })];
  const proxied = await failure(client().ask(question));
  assert.deepEqual([proxied.code, proxied.detail, proxied.pointer], ["http_413", "Content Too Large", undefined]);
  assert.deepEqual([asked.length, waits], [2, []]);
});

test("a token may be given as the back end's response", async () => {
  const fetchToken = async () => Response.json({ token: "csb_its", renew_in: 540 });
  await client({ fetchToken }).ask(question);
  assert.deepEqual(used(), ["Bearer csb_its"]);
});

test("a token alone is renewed once it is refused", async () => {
  const alone = client({ fetchToken: async () => `csb_${++issued}` });
  script = [good, refusal(401, "token_expired")];
  await alone.ask(question);
  await alone.ask(question);
  assert.deepEqual(used(), ["Bearer csb_1", "Bearer csb_1", "Bearer csb_2"]);
});

test("what the back end refuses is told, and what its network loses is tried again", async () => {
  let fetched = 0;
  const refuses = client({ fetchToken: async () => (fetched++, refusal(401, "signed_out")()) });
  assert.equal((await failure(refuses.ask(question))).code, "signed_out");
  assert.equal(fetched, 1);
  const gives = client({ fetchToken: async () => ({ status: 403, code: "not_allowed", detail: "no" }) });
  assert.deepEqual((({ code, status }) => [code, status])(await failure(gives.ask(question))), ["not_allowed", 403]);
  for (const given of [undefined, "", {}, { token: "" }, new Response("<h1>Sign in</h1>")]) {
    const nothing = await failure(client({ fetchToken: async () => given }).ask(question));
    assert.deepEqual([nothing.code, nothing.detail], ["no_token", "fetchToken gave none"]);
  }
  const fails = client({ fetchToken: () => Promise.reject(new RangeError("of its own")) });
  await assert.rejects(fails.ask(question), RangeError);
  assert.deepEqual([asked.length, waits], [0, []]);

  const lost = [network, refusal(502, "gateway_unreachable")];
  const goesOn = client({ fetchToken: async () => lost.shift()?.() ?? { token: "csb_", renew_in: 540 } });
  await goesOn.ask(question);
  assert.deepEqual([asked.length, waits], [1, [500, 1000]]);
});

test("a signal ends a question wherever it is, and no other", async () => {
  // As if the network had failed, which would be tried again.
  const reason = new TypeError("enough");
  const aborted = async (ask, when) => {
    const controller = new AbortController();
    const ends = assert.rejects(ask(controller.signal), reason);
    await when();
    controller.abort(reason);
    await ends;
  };
  let give;
  const slow = client({ fetchToken: () => new Promise((resolve) => (give = resolve)) });
  const other = slow.ask(question);
  await aborted(
    (signal) => slow.ask(question, { signal }),
    async () => {},
  );
  give({ token: "csb_", renew_in: 540 });
  await other;

  script = [({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))];
  await aborted(
    (signal) => client().ask(question, { signal }),
    () => new Promise(setImmediate),
  );

  globalThis.setTimeout = () => undefined;
  script = [network];
  await aborted(
    (signal) => client().ask(question, { signal }),
    () => new Promise(setImmediate),
  );

  const count = asked.length;
  await assert.rejects(client().ask(question, { signal: AbortSignal.abort(reason) }), reason);
  assert.equal(asked.length, count);
});

const lines =
  (...texts) =>
  () => {
    const bytes = texts.map((text) => (typeof text === "string" ? new TextEncoder().encode(text) : text));
    return new Response(
      new ReadableStream({
        pull(controller) {
          const next = bytes.shift();
          if (next instanceof Error) controller.error(next);
          else if (next) controller.enqueue(next);
          else controller.close();
        },
      }),
    );
  };

async function all(rows) {
  const found = [];
  for await (const row of rows) found.push(row);
  return found;
}

test("rows come line by line, wherever the network cuts them", async () => {
  const text = new TextEncoder().encode(
    '{"grouping":"grün","value":1}\n{"grouping":"b","value":2}\n{"countersign":{"complete":true}}\n',
  );
  for (let size = 1; size <= text.length; size++) {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, index) =>
      text.slice(index * size, (index + 1) * size),
    );
    script = [lines(...pieces)];
    const found = await all(client().rows(question));
    assert.deepEqual(
      found.map((row) => row.grouping ?? row.countersign.complete),
      ["grün", "b", true],
    );
  }
  assert.equal(asked[0].headers.get("Accept"), "application/x-ndjson");
});

test("rows that break off are an error", async () => {
  const row = '{"grouping":"a","value":1}\n';
  const broken = new TypeError("network error");
  for (const [cause, ...texts] of [
    [undefined],
    [undefined, row],
    [undefined, row, '{"countersign":{'],
    [broken, row, broken],
  ]) {
    script = [lines(...texts)];
    const error = await failure(all(client().rows(question)));
    assert.deepEqual([error.code, error.cause], ["cut_short", cause]);
  }
  script = [lines("<h1>A proxy</h1>\n")];
  assert((await failure(all(client().rows(question)))).cause instanceof SyntaxError);
});

test("rows are tried again until they begin", async () => {
  script = [network, refusal(401, "token_expired"), lines('{"countersign":{}}\n')];
  assert.equal((await all(client().rows(question))).length, 1);
  assert.equal(issued, 2);
});

test("whoever stops reading ends the answer", async () => {
  let cancelled = 0;
  script = [
    () =>
      new Response(
        new ReadableStream({
          pull: (controller) => controller.enqueue(new TextEncoder().encode('{"value":1}\n')),
          cancel: () => void cancelled++,
        }),
      ),
  ];
  for await (const row of client().rows(question)) {
    assert.equal(row.value, 1);
    break;
  }
  await new Promise(setImmediate);
  assert.equal(cancelled, 1);
});
