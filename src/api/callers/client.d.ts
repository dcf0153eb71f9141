/** The types of `client.js`, which a gateway serves at `/v1/client.js`. */

export type EngagementType =
  | "app_install_attempts"
  | "app_opens"
  | "detail_expands"
  | "email_tweet"
  | "engagements"
  | "favorites"
  | "hashtag_clicks"
  | "impressions"
  | "media_engagements"
  | "media_views"
  | "permalink_clicks"
  | "quote_tweets"
  | "replies"
  | "retweets"
  | "url_clicks"
  | "user_follows"
  | "user_profile_clicks"
  | "video_views";

export type GroupBy = "tweet.id" | "engagement.type" | "engagement.day" | "engagement.hour";

/** `last` is a number of days or hours, such as `28d` or `36h`. `start` and `end` are dates or times. */
export type Window = "totals" | "28hr" | { last: string } | { start: string; end: string };

/** What the token leaves open, or less than it allows. Whatever is left out comes from the token. */
export interface Question<Grouping extends string = string> {
  tweet_ids?: readonly string[];
  engagement_types?: readonly EngagementType[];
  window?: Window;
  groupings?: Readonly<Record<Grouping, { group_by: readonly GroupBy[] }>>;
}

export type Reason =
  | "account_limit"
  | "account_revoked"
  | "deadline"
  | "forbidden"
  | "hour_changed"
  | "not_connected"
  | "quota"
  | "unavailable"
  | "unsupported_age"
  | "upstream_error";

export interface Missing {
  tweet_ids: string[];
  engagement_types: EngagementType[];
  reason: Reason;
  /** Details in words; may be empty. */
  detail: string;
  /** The parts of the range that are missing; empty if all of it is. */
  windows: { start: string; end: string }[];
}

export interface Report {
  /** Whether nothing is missing. */
  complete: boolean;
  calls: { made: number; saved: number };
  missing: Missing[];
  notes: string[];
}

/** Numbers as X writes them, in strings, nested in the order of `group_by`. */
export interface Numbers {
  [key: string]: string | Numbers;
}

/** What an answer says beside its numbers. */
export interface Remarks {
  countersign: Report;
  start?: string;
  end?: string;
  errors?: string[];
  unavailable_tweet_ids?: string[];
  unsupported_for_impressions_engagements_tweet_ids?: string[];
  unsupported_for_video_views_tweet_ids?: string[];
}

export type Answer<Grouping extends string = "by_tweet"> = Remarks & Record<Grouping, Numbers>;

/** One number. It has the keys by which its grouping groups. */
export interface Row {
  countersign?: undefined;
  grouping: string;
  tweet_id?: string;
  engagement_type?: EngagementType;
  /** Such as `2026-01-31`, in UTC. */
  day?: string;
  /** `00` to `23`, in UTC. */
  hour?: string;
  value: number;
}

export interface Options {
  /** Gives up when it aborts; the promise is then rejected with the signal's reason. */
  signal?: AbortSignal;
  /** The longest that the gateway may take, such as `20s`. */
  deadline?: string;
}

/** The answer of `POST /v1/browser-tokens`. */
export interface Token {
  token: string;
  /** Seconds until the token should be renewed. */
  renew_in: number;
}

export interface Settings {
  /** The gateway's address. */
  url: string;
  /**
   * Fetches a new token from the page's own back end: the response as it is, or what is in it. A text alone is taken for
   * a token, and renewed when it is refused.
   */
  fetchToken: () => Promise<Response | Token | string>;
  /** For how many milliseconds a question is asked again while there is no answer; 60,000 by default. */
  patience?: number;
}

export class Countersign {
  constructor(settings: Settings);
  /** Asks, and gives the whole answer. */
  ask<Grouping extends string = "by_tweet">(question: Question<Grouping>, options?: Options): Promise<Answer<Grouping>>;
  /** Asks, and gives the numbers as they come. The last line has `countersign` and no number. */
  rows(question: Question, options?: Options): AsyncGenerator<Row | Remarks, void, undefined>;
}

/** The gateway's explanation; a proxy's error has only the members that are required here. */
export interface Problem {
  code: string;
  detail: string;
  status?: number;
  type?: string;
  title?: string;
  request_id?: string;
  errors?: string[];
  problems?: { pointer?: string; detail: string }[];
  /** Of `nothing_answered`. */
  missing?: Missing[];
  /** Seconds, from `Retry-After`. */
  retry_after?: number;
}

/**
 * Why there is no answer. Beside the gateway's own codes, `code` is `http_502` and the like for an error that is not
 * the gateway's, `cut_short` if lines broke off, and `no_token` if `fetchToken` gave none.
 */
export class CountersignError extends Error {
  constructor(problem: Problem, cause?: unknown);
  /** Absent if the answer was cut short. */
  readonly status?: number;
  readonly code: string;
  readonly detail: string;
  /** The part of the question that is not allowed, such as `/tweet_ids/3`. */
  readonly pointer?: string;
  /** After how many seconds the same may work. */
  readonly retryAfter?: number;
  readonly requestId?: string;
  readonly problem: Problem;
}
