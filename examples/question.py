#!/usr/bin/env python3
"""Asks Countersign how posts perform: one question, any number of posts, whoever wrote them.

    COUNTERSIGN_URL=http://127.0.0.1:8080 COUNTERSIGN_KEY=csk_... python3 question.py POST_ID...

Prints a row per post and metric, and says on standard error what is missing. It needs the standard library only.
Exit codes: 0 for a complete answer, 3 if something is missing, 1 if there is no answer.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

METRICS = ["impressions", "favorites", "retweets", "replies"]
ATTEMPTS = 3
# Longer than the gateway takes at most (limits.request_deadline).
TIMEOUT = 35


def ask(url, key, question):
    """Returns the answer to a question; waits and asks again while the gateway says that this helps."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Accept": "application/json, application/problem+json",
    }
    body = json.dumps(question).encode()
    for attempt in range(1, ATTEMPTS + 1):
        request = urllib.request.Request(f"{url}/v1/engagement", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After")
            if wait is None or attempt == ATTEMPTS:
                problem = json.load(error)
                raise SystemExit(f"{problem['code']}: {problem['detail']}") from None
            time.sleep(int(wait))
        except urllib.error.URLError as error:
            raise SystemExit(f"no answer from {url}: {error.reason}") from None


def main():
    posts = sys.argv[1:]
    if not posts:
        raise SystemExit(__doc__)
    url = os.environ.get("COUNTERSIGN_URL", "http://127.0.0.1:8080").rstrip("/")
    answer = ask(url, os.environ["COUNTERSIGN_KEY"], {"tweet_ids": posts, "engagement_types": METRICS})

    print("post", *METRICS, sep="\t")
    for post, numbers in answer["by_tweet"].items():
        print(post, *(numbers.get(metric, "-") for metric in METRICS), sep="\t")

    for gap in answer["countersign"]["missing"]:
        posts, metrics = len(gap["tweet_ids"]), ", ".join(gap["engagement_types"])
        print(f"missing: {metrics} of {posts} post(s): {gap['reason']}", file=sys.stderr)
    return 0 if answer["countersign"]["complete"] else 3


if __name__ == "__main__":
    sys.exit(main())
