// How pages use the client's types. It is compiled and not run: each `@ts-expect-error` must be an error.

import { Countersign, CountersignError } from "../../../src/api/callers/client.js";
import type { Missing, Numbers, Question, Report, Row } from "../../../src/api/callers/client.js";

const countersign = new Countersign({
  url: "https://gateway.example.com",
  fetchToken: () => fetch("/token", { method: "POST" }),
  patience: 10_000,
});
new Countersign({ url: "https://gateway.example.com", fetchToken: async () => ({ token: "csb_", renew_in: 540 }) });

export async function ask(signal: AbortSignal): Promise<Report> {
  const answer = await countersign.ask({ engagement_types: ["impressions"] }, { signal, deadline: "20s" });
  const numbers: Numbers = answer.by_tweet;
  const days = await countersign.ask({
    window: { last: "28d" },
    groupings: { by_day: { group_by: ["engagement.type", "engagement.day"] } },
  });
  const byDay: Numbers = days.by_day;
  // Where the token fixes the groupings, the page says what they are called.
  const fixed = await countersign.ask<"by_hour">({ window: "28hr" });
  const start: string | undefined = fixed.start;
  console.log(numbers, byDay, fixed.by_hour, start);
  // @ts-expect-error No grouping of the question is called so.
  console.log(days.by_tweet);
  return answer.countersign;
}

export async function read(): Promise<[Row[], Missing[]]> {
  const rows: Row[] = [];
  for await (const row of countersign.rows({ window: { start: "2026-01-01", end: "2026-01-31" } })) {
    if (row.countersign) return [rows, row.countersign.missing];
    rows.push(row);
    console.log(row.tweet_id ?? row.day, row.value.toFixed());
  }
  return [rows, []];
}

export function explain(error: unknown): string {
  if (!(error instanceof CountersignError)) return String(error);
  const seconds: number = error.retryAfter ?? 0;
  const status: number | undefined = error.status;
  return `${status} ${error.code} ${error.detail} ${error.pointer ?? ""} ${seconds} ${error.requestId ?? ""}`;
}

// @ts-expect-error X calls them favorites.
export const misspelt: Question = { engagement_types: ["likes"] };
// @ts-expect-error A page sends one window.
export const several: Question = { windows: ["totals"] };
// @ts-expect-error Pages say nothing about accounts.
export const accounts: Question = { accounts: ["@alice"] };
// @ts-expect-error There is no such period.
export const unknown: Question = { window: "30d" };
// @ts-expect-error The options are an object.
void countersign.ask({}, AbortSignal.timeout(1000));
// @ts-expect-error A gateway has an address.
new Countersign({ fetchToken: () => fetch("/token") });
