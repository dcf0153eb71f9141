// Asks Countersign how posts perform: one question, any number of posts, whoever wrote them.
//
//   COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... node question.js POST_ID...
//
// Prints a row per post and metric, and says on standard error what is missing. It needs Node 18 or newer and nothing
// else. Exit codes: 0 for a complete answer, 3 if something is missing, 1 if there is no answer.

// All that is used of Node, so that its type definitions are not needed.
declare const process: { argv: string[]; env: Record<string, string | undefined>; exitCode: number };

const METRICS = ["impressions", "favorites", "retweets", "replies"] as const;
type Metric = (typeof METRICS)[number];

const ATTEMPTS = 3;
// Longer than the gateway takes at most (limits.request_deadline).
const TIMEOUT_MS = 35_000;

interface Question {
  tweet_ids: string[];
  engagement_types: readonly Metric[];
}

interface Missing {
  tweet_ids: string[];
  engagement_types: string[];
  reason: string;
  detail: string;
}

interface Answer {
  by_tweet: Record<string, Partial<Record<Metric, string>>>;
  countersign: { complete: boolean; missing: Missing[] };
}

interface Problem {
  code: string;
  detail: string;
}

/** The answer to a question; waits and asks again while the gateway says that this helps. */
async function ask(url: string, key: string, question: Question): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}/v1/engagement`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${key}`,
        "Content-Type": "application/json",
        Accept: "application/json, application/problem+json",
      },
      body: JSON.stringify(question),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.ok) {
      return (await response.json()) as Answer;
    }
    const wait = response.headers.get("Retry-After");
    if (wait === null || attempt === ATTEMPTS) {
      const problem = (await response.json()) as Problem;
      throw new Error(`${problem.code}: ${problem.detail}`);
    }
    await new Promise((resolve) => setTimeout(resolve, Number(wait) * 1000));
  }
}

async function main(): Promise<void> {
  const posts = process.argv.slice(2);
  const url = process.env.COUNTERSIGN_URL ?? "http://127.0.0.1:8080";
  const key = process.env.COUNTERSIGN_KEY;
  if (key === undefined || posts.length === 0) {
    throw new Error("set COUNTERSIGN_KEY, and give the ids of posts");
  }
  const answer = await ask(url, key, { tweet_ids: posts, engagement_types: METRICS });

  console.log(["post", ...METRICS].join("\t"));
  for (const [post, numbers] of Object.entries(answer.by_tweet)) {
    console.log([post, ...METRICS.map((metric) => numbers[metric] ?? "-")].join("\t"));
  }

  for (const gap of answer.countersign.missing) {
    const metrics = gap.engagement_types.join(", ");
    console.error(`missing: ${metrics} of ${gap.tweet_ids.length} post(s): ${gap.reason}`);
  }
  process.exitCode = answer.countersign.complete ? 0 : 3;
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
