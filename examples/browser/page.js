// The page: asks the gateway three questions, and draws an answer for each.

const NAMES = {
  impressions: "Impressions",
  engagements: "Engagements",
  favorites: "Likes",
  retweets: "Reposts",
  replies: "Replies",
  url_clicks: "Link clicks",
};
const OF_POSTS = ["impressions", "engagements", "favorites", "retweets", "replies"];
const OVER_TIME = ["engagements", "favorites", "url_clicks", "retweets"];

const REASONS = {
  unavailable: "X has no such post, or it is deleted or protected",
  not_connected: "the author's account is not connected",
  account_revoked: "the token of the author's account no longer works",
  account_limit: "the app may use no more accounts this month",
  forbidden: "the author is not the one who was named",
  unsupported_age: "X no longer keeps these numbers for posts this old",
  quota: "X's quota is used up for now",
  deadline: "time ran out first",
  hour_changed: "a new hour began while X was asked",
  upstream_error: "X failed to answer",
};

// What each chart asks. The posts are left out: they come from the token.
const CHARTS = [
  {
    id: "posts",
    title: "Totals by post",
    along: "Post",
    types: OF_POSTS,
    question: { engagement_types: OF_POSTS },
    label: (row) => row.tweet_id,
    draw: drawBars,
  },
  {
    id: "days",
    title: "The last 28 days, by day",
    along: "Day (UTC)",
    note: "The first and the last day are partial.",
    types: OVER_TIME,
    question: {
      engagement_types: OVER_TIME,
      window: { last: "28d" },
      groupings: { by_day: { group_by: ["engagement.type", "engagement.day"] } },
    },
    label: (row) => row.day,
    short: (label) => dayOf(label),
    draw: drawLines,
  },
  {
    id: "hours",
    title: "The last 28 hours, by hour",
    along: "Hour (UTC)",
    note: "The last hour is not over yet.",
    types: OVER_TIME,
    question: {
      engagement_types: OVER_TIME,
      window: "28hr",
      groupings: { by_hour: { group_by: ["engagement.type", "engagement.day", "engagement.hour"] } },
    },
    label: (row) => `${row.day} ${row.hour}:00`,
    short: (label) => label.slice(-5),
    draw: drawLines,
  },
];

const number = (value) => value.toLocaleString("en");
const dayOf = (day) =>
  new Date(`${day}T00:00:00Z`).toLocaleDateString("en", { month: "short", day: "numeric", timeZone: "UTC" });

/** An element; attributes that are undefined are left out. */
function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

// Asking

/** The numbers by label and engagement type, and the report on them. */
async function fetchNumbers(countersign, chart, signal) {
  const numbers = new Map();
  let report;
  for await (const row of countersign.rows(chart.question, { signal })) {
    if (row.countersign) {
      report = row.countersign;
    } else {
      const label = chart.label(row);
      if (!numbers.has(label)) numbers.set(label, {});
      numbers.get(label)[row.engagement_type] = row.value;
    }
  }
  return { numbers, report, askedAt: new Date() };
}

async function show(countersign, chart, posts, signal) {
  const figure = document.getElementById(chart.id);
  figure.setAttribute("aria-busy", "true");
  try {
    const answer = await fetchNumbers(countersign, chart, signal);
    // A post of which nothing is known still has its place.
    const labels = chart.id === "posts" ? posts : [...answer.numbers.keys()].sort();
    render(figure, chart, { ...answer, labels });
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    figure.replaceChildren(element("figcaption", {}, chart.title), ...explained(error));
    return false;
  } finally {
    if (!signal.aborted) figure.removeAttribute("aria-busy");
  }
}

function explained(error) {
  const text =
    error instanceof TypeError
      ? "The gateway cannot be reached, or does not allow this page. The browser's console says which."
      : `No numbers: ${error.detail ?? error.message}.`;
  return [element("p", { class: "bad" }, text.replace(/\.\.$/, ".")), missingList(error.problem?.missing)];
}

// Words

/** What is missing, in words; undefined if nothing is. */
function missingList(missing = []) {
  if (missing.length === 0) return "";
  const items = missing.map((part) => {
    const types = part.engagement_types.map((type) => (NAMES[type] ?? type).toLowerCase()).join(", ");
    const posts = `${part.tweet_ids.length === 1 ? "post" : "posts"} ${part.tweet_ids.join(", ")}`;
    const windows = (part.windows ?? []).map(({ start, end }) => `${start} to ${end}`).join(", ");
    const when = windows && ` from ${windows}`;
    return element("li", {}, `${types} of ${posts}${when}: ${REASONS[part.reason] ?? part.reason}`);
  });
  return element("div", { class: "missing" }, element("strong", {}, "Missing"), element("ul", {}, ...items));
}

function askedLine({ askedAt, report }) {
  const { made, saved } = report.calls;
  const time = element("time", { datetime: askedAt.toISOString() }, askedAt.toLocaleTimeString("en-GB"));
  const calls = `${made} ${made === 1 ? "call" : "calls"} made, ${saved} saved`;
  return element("p", { class: "soft" }, "Asked at ", time, `: ${calls}. ${report.notes.join(" ")}`);
}

function table({ id, title, along, types }, { labels, numbers }) {
  const head = types.map((type) => element("th", { scope: "col", class: "number" }, NAMES[type]));
  const rows = labels.map((label) => {
    const cells = types.map((type) => numbers.get(label)?.[type]);
    const text = cells.map((value) => (value === undefined ? "none" : number(value)));
    const row = text.map((value) => element("td", { class: "number" }, value));
    return element("tr", {}, element("th", { scope: "row" }, label), ...row);
  });
  const whole = element(
    "table",
    {},
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, along), ...head)),
    element("tbody", {}, ...rows),
  );
  const scrolling = { class: "table", tabindex: "0", role: "region", "aria-label": `${title}, as a table` };
  return element("details", {}, element("summary", {}, "Show as table"), element("div", scrolling, whole));
}

// Pictures

const widths = new ResizeObserver((entries) => entries.forEach(({ target }) => target.redraw?.()));

/** Fills a figure; what the reader had opened or chosen stays so. */
function render(figure, chart, answer) {
  const wasOpen = figure.querySelector("details")?.open ?? false;
  const chosen = figure.querySelector("select")?.value ?? chart.types[0];
  const hadFocus = figure.contains(document.activeElement) ? document.activeElement.tagName : undefined;
  const caption = element("figcaption", { id: `${chart.id}-title` }, chart.title);
  const picture = element("div", { class: "picture" });
  const choice = chart.draw === drawBars ? chooser(chart, chosen) : undefined;
  const keys = choice?.label ?? legend(chart.types);
  const details = table(chart, answer);
  details.open = wasOpen;
  picture.redraw = () => {
    const width = Math.floor(picture.clientWidth);
    if (width > 0) picture.replaceChildren(chart.draw(chart, answer, width, choice?.select.value));
  };
  choice?.select.addEventListener("change", picture.redraw);
  const note = chart.note ? element("p", { class: "soft" }, chart.note) : "";
  widths.disconnect();
  figure.replaceChildren(caption, keys, picture, note, details, missingList(answer.report.missing), askedLine(answer));
  for (const each of document.querySelectorAll(".picture")) widths.observe(each);
  if (hadFocus) figure.querySelector(hadFocus)?.focus();
}

function chooser({ id, types }, chosen) {
  const options = types.map((type) => element("option", { value: type }, NAMES[type]));
  const select = element("select", { id: `${id}-type` }, ...options);
  select.value = chosen;
  return { select, label: element("label", {}, "Show", select) };
}

function legend(types) {
  const items = types.map((type, index) => {
    const line = shape("path", { d: "M0 6h36", stroke: "currentColor", "stroke-width": 3 });
    const sample = shape("svg", { class: `s${index}`, width: 36, height: 12, "aria-hidden": "true" }, line);
    return element("li", {}, sample, NAMES[type]);
  });
  return element("ul", { class: "legend" }, ...items);
}

function frame({ id }, width, height, children) {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  return shape("svg", { ...size, role: "img", "aria-labelledby": `${id}-title` }, ...children);
}

/** A bar for each post, the longest first. Narrow pictures have the posts' ids above their bars. */
function drawBars(chart, { labels, numbers }, width, type) {
  const valueOf = (label) => numbers.get(label)?.[type];
  const sorted = labels.toSorted((a, b) => (valueOf(b) ?? -1) - (valueOf(a) ?? -1));
  const most = Math.max(1, ...sorted.map((label) => valueOf(label) ?? 0));
  const isNarrow = width < 560;
  const [left, step] = isNarrow ? [0, 46] : [160, 34];
  const room = width - left - 90;
  const bars = sorted.flatMap((label, index) => {
    const top = index * step + (isNarrow ? 20 : 4);
    const value = valueOf(label);
    const long = value === undefined ? 0 : Math.max(1, Math.round((value / most) * room));
    const name = isNarrow ? { x: 0, y: top - 5 } : { x: left - 8, y: top + 15, "text-anchor": "end" };
    return [
      shape("text", name, label),
      shape("rect", { class: "s0", x: left, y: top, width: long, height: 20, fill: "currentColor", rx: 2 }),
      shape(
        "text",
        { class: "value", x: left + long + 6, y: top + 15 },
        value === undefined ? "missing" : number(value),
      ),
    ];
  });
  return frame(chart, width, sorted.length * step + 8, bars);
}

/** A line for each engagement type; where a number is missing, the line is broken. */
function drawLines(chart, { labels, numbers }, width) {
  const [height, top, bottom] = [260, 12, 232];
  const values = chart.types.map((type) => labels.map((label) => numbers.get(label)?.[type]));
  const ticks = ticksTo(Math.max(1, ...values.flat().map((value) => value ?? 0)));
  const left = 14 + 7.5 * Math.max(...ticks.map((tick) => number(tick).length));
  const right = width - 22;
  const x = (index) => left + ((right - left) * index) / Math.max(1, labels.length - 1);
  const y = (value) => bottom - ((bottom - top) * value) / ticks.at(-1);
  const grid = ticks.flatMap((tick) => [
    shape("path", { class: "grid", d: `M${left} ${y(tick)}H${right}` }),
    shape("text", { x: left - 8, y: y(tick) + 4, "text-anchor": "end" }, number(tick)),
  ]);
  const every = Math.max(1, Math.ceil(labels.length / Math.max(1, Math.floor((right - left) / 64))));
  const names = labels.flatMap((label, index) => {
    const isShown = (labels.length - 1 - index) % every === 0;
    return isShown ? [shape("text", { x: x(index), y: bottom + 20, "text-anchor": "middle" }, chart.short(label))] : [];
  });
  const lines = values.flatMap((series, index) =>
    pieces(series).map((points) => {
      const path = points.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
      // A line of no length, with round ends, is a dot: a number whose neighbours are missing.
      const line = { d: `M${path}${points.length === 1 ? "h0" : ""}`, fill: "none", stroke: "currentColor" };
      return shape("path", { class: `s${index}`, ...line, "stroke-width": 2.5, "stroke-linecap": "round" });
    }),
  );
  return frame(chart, width, height, [...grid, ...names, ...lines]);
}

/** The runs of numbers without a gap, each number with its place. */
function pieces(series) {
  const found = [[]];
  series.forEach((value, at) => (value === undefined ? found.push([]) : found.at(-1).push([at, value])));
  return found.filter((piece) => piece.length > 0);
}

/** Round numbers from 0 to at least `most`. */
function ticksTo(most) {
  const rough = most / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(
    1,
    [1, 2, 2.5, 5, 10].map((factor) => factor * unit).find((size) => size >= rough),
  );
  const whole = Math.ceil(step);
  return Array.from({ length: Math.ceil(most / whole) + 1 }, (_, index) => index * whole);
}

// The page

async function copy(event) {
  const button = event.currentTarget;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "Copied";
  } catch {
    // Not every address may use the clipboard; the lines are then selected, to be copied by hand.
    getSelection().selectAllChildren(code);
    button.textContent = "Selected";
  }
  document.getElementById("copied").textContent = `${button.textContent}.`;
}

function fillIn({ gateway, posts }) {
  const texts = { gateway, origin: location.origin, posts: JSON.stringify(posts).replaceAll(",", ", ") };
  for (const [name, text] of Object.entries(texts)) {
    for (const place of document.querySelectorAll(`.${name}`)) {
      if (place.tagName === "SPAN") place.textContent = text;
    }
  }
}

async function start() {
  for (const button of document.querySelectorAll(".copy")) button.addEventListener("click", copy);
  const state = document.getElementById("state");
  const settings = await (await fetch("page.json")).json();
  fillIn(settings);
  const { Countersign } = await import(`${settings.gateway}/v1/client.js`);
  const countersign = new Countersign({
    url: settings.gateway,
    fetchToken: () => fetch("token", { method: "POST" }),
    patience: 20_000,
  });

  let asking = new AbortController();
  const again = document.getElementById("again");
  const askAll = async () => {
    asking.abort();
    const { signal } = (asking = new AbortController());
    state.textContent = "Asking…";
    const shown = await Promise.all(CHARTS.map((chart) => show(countersign, chart, settings.posts, signal)));
    if (signal.aborted) return;
    const failed = shown.filter((isShown) => !isShown).length;
    state.textContent = failed === 0 ? "Up to date." : `${failed} of ${shown.length} charts have no numbers.`;
  };
  again.addEventListener("click", askAll);
  again.disabled = false;
  await askAll();
}

start().catch((error) => {
  document.getElementById("state").textContent = `The page cannot start: ${error.message}`;
});
