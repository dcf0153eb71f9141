// Headless Chromium by WebDriver, with a profile of its own; it can reach this machine and nothing else.

import { spawn, spawnSync } from "node:child_process";

const ARGUMENTS = [
  "--headless=new",
  "--hide-scrollbars",
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--no-proxy-server",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

for (const program of ["chromium", "chromedriver"]) {
  if (spawnSync(program, ["--version"]).status !== 0) throw new Error(`${program} is missing; tests/run installs it`);
}

export class Chromium {
  static async start() {
    const it = new Chromium();
    it.driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "ignore"] });
    const port = await new Promise((resolve) => {
      it.driver.stdout.on("data", (text) => {
        const found = /started successfully on port (\d+)/.exec(String(text));
        if (found) resolve(found[1]);
      });
    });
    it.url = `http://127.0.0.1:${port}`;
    const wanted = {
      browserName: "chrome",
      "goog:loggingPrefs": { browser: "ALL" },
      "goog:chromeOptions": { args: ARGUMENTS },
      timeouts: { script: 30_000 },
    };
    const { sessionId } = await it.#tell("POST", "/session", { capabilities: { alwaysMatch: wanted } });
    it.session = `/session/${sessionId}`;
    return it;
  }

  async stop() {
    await this.#tell("DELETE", this.session).catch(() => undefined);
    this.driver.kill();
  }

  open(url) {
    return this.#tell("POST", `${this.session}/url`, { url });
  }

  /** Runs a function's body in the page; a promise is waited for. */
  run(script, ...args) {
    return this.#tell("POST", `${this.session}/execute/sync`, { script, args });
  }

  /** Waits until an expression is true in the page. */
  async until(expression) {
    const script = `return new Promise((resolve) => {
      const look = () => (${expression}) ? resolve(true) : setTimeout(look, 20);
      look();
      setTimeout(() => resolve(false), 20_000);
    })`;
    if (!(await this.run(script))) {
      throw new Error(`never: ${expression}\n${await this.run("return document.body.innerText")}`);
    }
  }

  /** A command of the DevTools protocol. */
  devTools(cmd, params = {}) {
    return this.#tell("POST", `${this.session}/goog/cdp/execute`, { cmd, params });
  }

  /** What the browser has complained about since this was last asked. */
  async complaints() {
    const entries = await this.#tell("POST", `${this.session}/se/log`, { type: "browser" });
    return entries.map(({ message }) => message);
  }

  async display(width, height, scheme) {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await this.devTools("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.devTools("Emulation.setEmulatedMedia", { features });
    // Until the page has been laid out, and drawn again for its new width.
    await this.run(`return new Promise((resolve) => {
      const next = (frames) => (frames === 0 ? resolve() : requestAnimationFrame(() => next(frames - 1)));
      next(3);
    })`);
  }

  async picture() {
    const { data } = await this.devTools("Page.captureScreenshot", { captureBeyondViewport: true });
    return Buffer.from(data, "base64");
  }

  async #tell(method, path, body) {
    const response = await fetch(this.url + path, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (value?.error) throw new Error(`${path}: ${value.error}: ${value.message}`);
    return value;
  }
}
