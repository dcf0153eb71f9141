// Asks a Countersign gateway from a page, with tokens from the page's own back end.

/** @typedef {{signal?: AbortSignal, deadline?: string}} Options */

/** Why there is no answer. */
export class CountersignError extends Error {
  /**
   * @param {{status?: number, code: string, detail: string, problems?: {pointer?: string}[], request_id?: string,
   *   retry_after?: number}} problem @param {unknown} [cause]
   */
  constructor(problem, cause) {
    super(`${problem.code}: ${problem.detail}`, { cause });
    this.name = "CountersignError";
    this.status = problem.status;
    this.code = problem.code;
    this.detail = problem.detail;
    this.pointer = problem.problems?.[0]?.pointer;
    this.retryAfter = problem.retry_after;
    this.requestId = problem.request_id;
    this.problem = problem;
  }
}

export class Countersign {
  #url;
  #fetchToken;
  #patience;
  #token = "";
  #renewAt = 0;
  /** @type {Promise<void> | undefined} */
  #renewal;

  /** @param {{url: string, fetchToken: () => Promise<any>, patience?: number}} options */
  constructor({ url, fetchToken, patience = 60_000 }) {
    this.#url = new URL(url).href.replace(/\/*$/, "/v1/engagement");
    this.#fetchToken = fetchToken;
    this.#patience = patience;
  }

  /** The whole answer. @param {object} question @param {Options} [options] */
  ask(question, options = {}) {
    return this.#send(question, options, "application/json", (response) => response.json());
  }

  /** Lines as they come; the last has `countersign`. @param {object} question @param {Options} [options] */
  async *rows(question, options = {}) {
    const body = await this.#send(question, options, "application/x-ndjson", (response) => response.body);
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let ended, cause;
    try {
      for (let read; !(read = await reader.read()).done; ) {
        const lines = (rest + read.value).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const row = JSON.parse(line);
          ended = row.countersign;
          yield row;
        }
      }
    } catch (error) {
      cause = error;
    } finally {
      // If nobody reads on, the gateway stops.
      reader.cancel().catch(() => {});
    }
    if (ended) return;
    options.signal?.throwIfAborted();
    throw new CountersignError({ code: "cut_short", detail: "the answer broke off" }, cause);
  }

  /** @param {object} question @param {Options} options @param {string} Accept @param {(it: Response) => any} read */
  async #send(question, { signal, deadline }, Accept, read) {
    const body = JSON.stringify(question);
    // The page's clock may be wrong.
    const end = performance.now() + this.#patience;
    let renewed = false;
    for (let attempt = 0; ; attempt++) {
      let token;
      try {
        signal?.throwIfAborted();
        await abortable(this.#renewed(), signal);
        token = this.#token;
        const headers = new Headers({ Authorization: `Bearer ${token}`, "Content-Type": "application/json", Accept });
        if (deadline) headers.set("Countersign-Deadline", deadline);
        /** @type {RequestInit} Without `cache`, which adds a Cache-Control. */
        const request = { method: "POST", headers, body, signal, credentials: "omit", redirect: "error" };
        return await read(await checked(await fetch(this.#url, request)));
      } catch (/** @type {any} */ error) {
        signal?.throwIfAborted();
        if (token && error.status === 401 && !renewed) {
          renewed = true;
          // Unless another question has renewed it.
          if (this.#token === token) this.#renewAt = 0;
          continue;
        }
        const wait = waitAfter(error, attempt);
        if (!(performance.now() + wait <= end)) throw error;
        renewed = false;
        await abortable(new Promise((resolve) => setTimeout(resolve, wait)), signal);
      }
    }
  }

  /** Hidden pages need no timer. */
  async #renewed() {
    if (!(performance.now() >= this.#renewAt)) return;
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  async #renew() {
    const asked = performance.now();
    let given = await abortable(Promise.resolve(this.#fetchToken()), AbortSignal.timeout(30_000));
    if (given instanceof Response) given = await (await checked(given)).json().catch(() => {});
    // It is renewed when it is refused.
    if (typeof given == "string") given = { token: given };
    if (!given?.token) throw new CountersignError({ code: "no_token", detail: "fetchToken gave none", ...given });
    this.#token = given.token;
    this.#renewAt = asked + given.renew_in * 1000;
  }
}

/** Milliseconds until the same may work, or NaN. @param {any} error @param {number} attempt */
function waitAfter(error, attempt) {
  const named = error?.retryAfter * 1000;
  if (error?.status === 429) return named;
  // `fetch` throws a TypeError if it gets no answer.
  if (!(error instanceof TypeError) && ![502, 503, 504].includes(error?.status)) return NaN;
  return Math.max(Math.random() * Math.min(30_000, 500 * 2 ** attempt), named || 0);
}

/** @param {Response} response */
async function checked(response) {
  const { ok, status, statusText: detail, headers } = response;
  if (ok) return response;
  const retry_after = Number(headers.get("Retry-After")) || undefined;
  // A proxy's is no JSON.
  const problem = await response.json().catch(() => {});
  throw new CountersignError({ code: `http_${status}`, detail, ...problem, status, retry_after });
}

/** @template T @param {Promise<T>} promise @param {AbortSignal} [signal] @returns {Promise<T>} */
const abortable = (promise, signal) => new Promise((resolve, reject) => {
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  promise.then(resolve, reject).finally(() => signal?.removeEventListener("abort", abort));
});
