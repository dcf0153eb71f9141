// Runs the back ends of `examples/browser`.

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const path = (name) => fileURLToPath(new URL(`../../examples/browser/${name}`, import.meta.url));

export const examples = { Node: ["node", path("server.mjs")], Python: ["python3", path("server.py")] };

/** Starts a back end on any port, and waits until it says where. */
export async function runServer([program, ...words], settings) {
  const env = { PATH: process.env.PATH, PORT: "0", no_proxy: "*", ...settings };
  const child = spawn(program, words, { env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const url = await new Promise((resolve, reject) => {
    child.stdout.on("data", (text) => resolve(/http:\S+[^/\s]/.exec(String(text))[0]));
    ended.then((code) => reject(new Error(`${program} ended with ${code}`)));
  });
  const stop = () => {
    child.kill();
    return ended;
  };
  return { url, stop };
}
