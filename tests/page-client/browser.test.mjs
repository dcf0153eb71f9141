// The page in Chromium, with its back end in Node and the stub as its gateway, on origins of their own.
// PAGE_CLIENT_PICTURES names a folder for pictures of it; COUNTERSIGN_TEST_AXE names the file of axe-core.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";

import { examples, runServer } from "./back_end.mjs";
import { Chromium } from "./chromium.mjs";
import { KEY, Stub } from "./stub.mjs";

const POSTS = ["1560000000000000000", "1570000000000000001", "1580000000000000002", "1590000000000000006"];
const SIZES = [
  ["wide", 1280, 900],
  ["phone", 390, 844],
];
const SETTLED = `document.querySelectorAll("figure:not([aria-busy]) :is(details, .bad)").length === 3
  && /date|charts/.test(state.innerText)`;
const AXE = process.env.COUNTERSIGN_TEST_AXE;
const PICTURES = process.env.PAGE_CLIENT_PICTURES;

const RULES = `
  const values = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  return axe.run(document, { resultTypes: ["violations"], runOnly: { type: "tag", values } })
    .then(({ violations }) => violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")));`;

/** What each line and bar has as contrast to its card. */
const CONTRASTS = `
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  return [...document.querySelectorAll("[class^=s], .picture text")].map((part) => {
    const isText = part.tagName === "text";
    const own = luminance(getComputedStyle(part)[isText ? "fill" : "color"]);
    const card = luminance(getComputedStyle(part.closest("figure")).backgroundColor);
    return [isText ? 4.5 : 3, Math.max(own, card) / Math.min(own, card)];
  });`;

const OVERFLOWS = `
  const texts = [...document.querySelectorAll(".picture text")].filter((text) => {
    const [own, frame] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
    return own.left < frame.left - 1 || own.right > frame.right + 1 || own.bottom > frame.bottom + 1;
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  return [...texts.map((text) => text.textContent), ...(scrollWidth > clientWidth ? ["the page"] : [])];`;

describe("the page", () => {
  let chromium, stub, server;

  before(async () => (chromium = await Chromium.start()));
  after(() => chromium?.stop());
  beforeEach(async () => {
    stub = await new Stub().start();
    server = await runServer(examples.Node, {
      COUNTERSIGN_URL: stub.url,
      COUNTERSIGN_KEY: KEY,
      POSTS: POSTS.join(","),
    });
    stub.origins = [server.url];
  });
  afterEach(async () => {
    await chromium.open("about:blank");
    await server.stop();
    await stub.stop();
    await chromium.complaints();
  });

  async function open() {
    await chromium.open(`${server.url}/`);
    await chromium.until(SETTLED);
  }

  async function again(more = "") {
    const count = stub.questions().length + 3;
    await chromium.run(`${more} again.click()`);
    while (stub.questions().length < count) await new Promise(setImmediate);
    await chromium.until(SETTLED);
  }

  test("draws three answers, and asks again", async () => {
    await open();
    assert.equal(await chromium.run("return state.innerText"), "Up to date.");
    const drawn = "return [...document.querySelectorAll('figure svg[role=img]')].map((svg) => svg.childElementCount)";
    const [bars, days, hours] = await chromium.run(drawn);
    assert.equal(bars, 3 * POSTS.length);
    assert(days > 10 && hours > 10, `${days} ${hours}`);
    const said = await chromium.run("return posts.innerText");
    assert.match(said, /Asked at \d\d:\d\d:\d\d: 2 calls made, 1 saved\./);
    const rows = "return [...document.querySelectorAll('table')].map((table) => table.rows.length)";
    assert.deepEqual(await chromium.run(rows), [5, 30, 30]);

    assert.equal(stub.tokens.size, 1);
    await again(
      "document.querySelector('select').value = 'favorites'; document.querySelector('#days details').open = true;",
    );
    assert.equal(
      await chromium.run(
        "return document.querySelector('select').value + document.querySelector('#days details').open",
      ),
      "favoritestrue",
    );
    assert.deepEqual([stub.questions().length, stub.tokens.size], [6, 1]);
    assert.deepEqual(await chromium.complaints(), []);
  });

  test("asks as CORS has it, and leaves the token nowhere", async () => {
    await open();
    const preflight = stub.log.find(({ method }) => method === "OPTIONS").headers;
    assert.equal(preflight["access-control-request-method"], "POST");
    assert.equal(preflight["access-control-request-headers"], "authorization,content-type");
    for (const { headers, body } of stub.questions()) {
      assert.deepEqual([headers.origin, headers.cookie, headers.referer], [server.url, undefined, undefined]);
      assert.equal("tweet_ids" in JSON.parse(body), false);
    }
    const kept = `return JSON.stringify([localStorage, sessionStorage, document.cookie, location.href,
      document.documentElement.outerHTML, performance.getEntriesByType("resource").map(({ name }) => name)])`;
    assert.doesNotMatch(await chromium.run(kept), /csb_(?!…)/);
  });

  test("says what is missing, in words", async () => {
    stub.strangers = [POSTS[1]];
    await open();
    const missing = await chromium.run("return document.querySelector('#posts .missing').innerText");
    assert.match(missing, new RegExp(`of post ${POSTS[1]}: the author.s account is not connected`));
    assert.match(await chromium.run("return posts.querySelector('svg').textContent"), /missing/);
    assert.match(await chromium.run("return posts.querySelector('table').textContent"), /none/);
    stub.strangers = POSTS;
    await chromium.run("again.click()");
    await chromium.until("document.querySelectorAll('.bad').length === 3 && /charts/.test(state.innerText)");
    assert.match(
      await chromium.run("return posts.innerText"),
      /No numbers: 1 post is by a stranger\.[^]*is not connected/,
    );
  });

  test("reads errors, and goes on after a token that has expired", async () => {
    await open();
    stub.expireAll();
    await again();
    assert.deepEqual([await chromium.run("return state.innerText"), stub.tokens.size], ["Up to date.", 2]);
    stub.before = () => [429, "browser_limit", "the token has no calls left", undefined, undefined, 3600];
    await chromium.run("again.click()");
    await chromium.until("/3 of 3/.test(state.innerText)");
    assert.match(await chromium.run("return days.innerText"), /the token has no calls left/);
  });

  test("is refused for another origin, and says where to look", async () => {
    stub.origins = ["https://app.example.com"];
    await chromium.open(`${server.url}/`);
    await chromium.until("/3 of 3/.test(state.innerText)");
    assert.match(await chromium.run("return days.innerText"), /as told/);
    // Even with a token, a page of another origin reads nothing.
    const script = `const headers = { Authorization: "Bearer csb_x" };
      return fetch(arguments[0] + "/v1/engagement", { method: "POST", body: "{}", headers })
      .then(() => "read", (error) => error.name)`;
    assert.equal(await chromium.run(script, stub.url), "TypeError");
    assert.match((await chromium.complaints()).join(), /blocked by CORS policy/);
  });

  test("works while its clock is an hour off, and jumps", async () => {
    const source = "const real = Date.now; let off = 3_600_000; Date.now = () => real() + (off = -off);";
    const { identifier } = await chromium.devTools("Page.addScriptToEvaluateOnNewDocument", { source });
    await open();
    await again();
    assert.deepEqual([await chromium.run("return state.innerText"), stub.tokens.size], ["Up to date.", 1]);
    await chromium.devTools("Page.removeScriptToEvaluateOnNewDocument", { identifier });
  });

  test("copies the lines as they are shown", async () => {
    await open();
    const shown = await chromium.run("return document.querySelector('#mint').textContent");
    assert(
      shown.includes(`"${server.url}"`) &&
        shown.includes(`fetch("${stub.url}/v1/browser-tokens"`) &&
        shown.includes(POSTS[3]),
      shown,
    );
    const copy = `let text; navigator.clipboard.writeText = async (it) => { text = it; };
      document.querySelector(".copy").click();
      return new Promise((resolve) => setTimeout(() => resolve([text, copied.innerText])));`;
    assert.deepEqual(await chromium.run(copy), [shown, "Copied."]);
  });

  test("is legible and whole in each size and scheme, and reached by keyboard", async (t) => {
    stub.strangers = [POSTS[1]];
    await open();
    for (const [size, width, height] of SIZES) {
      for (const scheme of ["light", "dark"]) {
        await chromium.display(width, height, scheme);
        if (PICTURES) {
          mkdirSync(PICTURES, { recursive: true });
          writeFileSync(`${PICTURES}/page-${size}-${scheme}.png`, await chromium.picture());
        }
        const contrasts = await chromium.run(CONTRASTS);
        assert(contrasts.length > 30, contrasts.length);
        for (const [least, contrast] of contrasts) assert(contrast >= least, `${size} ${scheme}: ${contrast}`);
        assert.deepEqual(await chromium.run(OVERFLOWS), [], `${size} ${scheme}`);
        if (AXE) {
          await chromium.run("document.querySelectorAll('details').forEach((it) => (it.open = true))");
          await chromium.run(readFileSync(AXE, "utf8"));
          assert.deepEqual(await chromium.run(RULES), [], `${size} ${scheme}`);
          await chromium.run("document.querySelectorAll('details').forEach((it) => (it.open = false))");
        } else {
          t.diagnostic("without axe-core");
        }
      }
    }
    const hidden = `return [...document.querySelectorAll("button, select, summary, pre")]
      .filter((control) => control.tabIndex < 0 || control.disabled).length`;
    assert.equal(await chromium.run(hidden), 0);
  });
});
