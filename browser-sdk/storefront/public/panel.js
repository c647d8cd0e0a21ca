// The panel: what is remembered, and may be; what is loaded; how long it took.

/** Fills the panel, and keeps it up to date. */
export async function showPanel(panel, tradewind) {
  const read = async (file) => (await fetch(`/tradewind/${file}`, { credentials: "omit" })).json();
  // Both at once and for everyone, so that what is fetched tells nothing.
  const [texts, shoppers] = await Promise.all([read("products.json"), read("shoppers.json")]);
  const title = (sku) => texts[sku]?.title ?? sku;
  panel.innerHTML = `<h2>What this page knows</h2>
    <p class="notice" data-consent-text></p>
    <p class="buttons-row"><button type="button" class="small" data-consent></button>
      <button type="button" class="small quiet" data-erase>Erase</button></p>
    <h3>Your profile, on this device only</h3><p data-profile-text></p><ul data-profile></ul>
    <h3>Be a household of 2017</h3>
    <p><label class="shopper">Replay the orders of <select data-shopper></select></label></p><p class="replayed" data-replayed></p>
    <h3>Timings</h3><dl data-timings></dl>
    <h3>Digests</h3><dl data-digests></dl>`;
  const part = (name) => panel.querySelector(`[data-${name}]`);
  const { loaded } = tradewind;
  const decisions = { rank: undefined, quote: undefined, count: 0 };

  const timings = () => {
    const { fetch, compile, verify, instantiate, total } = loaded.timings;
    const ms = (value) => (value === undefined ? "–" : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
    list(part("timings"), [
      ["fetched", ms(fetch)],
      ["compiled", ms(compile)],
      ["checked", ms(verify)],
      ["started", ms(instantiate)],
      ["all of it", ms(total)],
      ["last ranking", ms(decisions.rank)],
      ["last price", ms(decisions.quote)],
      ["decisions", decisions.count],
    ]);
  };
  const consent = () => {
    const { consent, gpc } = tradewind.consent;
    const granted = consent === "granted";
    part("consent-text").textContent = gpc
      ? "Your browser sends Global Privacy Control. It is honoured: no profile is kept."
      : granted
        ? "You allow a profile on this device. It goes nowhere else."
        : "No profile is kept. Rankings are those of a stranger.";
    part("consent").textContent = granted ? "Withdraw" : "Allow a profile";
    part("consent").disabled = gpc;
    part("erase").disabled = !granted;
    panel.dataset.state = gpc ? "gpc" : consent;
  };
  const profile = async () => {
    const known = await tradewind.profile.export();
    const items = [...(known?.items ?? [])].sort((a, b) => b.attention - a.attention || b.orders - a.orders);
    part("profile-text").textContent = items.length
      ? `${count(items.length, "product")}, ${count(known.orders, "order")}, ${atob(known.bytes).length} bytes`
      : "empty";
    const what = ({ orders, attention, dismissed }) =>
      dismissed ? "not wanted" : orders ? `ordered ${orders} ×` : `viewed ${attention.toFixed(1)}`;
    part("profile").replaceChildren(
      ...items.slice(0, 6).map((item) => {
        const row = document.createElement("li");
        row.append(text("span", title(item.sku)), text("span", what(item)));
        return row;
      }),
    );
  };

  list(
    part("digests"),
    [loaded.module, ...loaded.packs, ...(loaded.snapshot ? [loaded.snapshot] : [])].map(({ name, digest }) => [name, digest]),
    (digest) => {
      const code = text("code", `${digest.slice(0, 12)}…`);
      code.title = digest;
      return code;
    },
  );
  part("consent").addEventListener("click", () =>
    tradewind.setConsent(tradewind.consent.consent === "granted" ? "denied" : "granted"),
  );
  part("erase").addEventListener("click", () => tradewind.profile.erase());
  part("shopper").append(
    new Option("nobody", ""),
    ...shoppers.map(({ household, events }) => new Option(`household ${household}: ${count(events.length, "order")}`, household)),
  );
  part("shopper").addEventListener("change", async ({ target }) => {
    const shopper = shoppers.find(({ household }) => String(household) === target.value);
    part("replayed").textContent = await replay(tradewind, shopper);
  });
  tradewind.on("consent", () => (consent(), profile()));
  tradewind.on("profile", profile);
  tradewind.on("decision", ({ kind, took }) => {
    decisions[kind] = took;
    decisions.count += 1;
    timings();
  });
  timings();
  consent();
  await profile();
}

/** Takes a household's orders in, as if they had been made on this device; says what that tells of its next ones. */
async function replay(tradewind, shopper) {
  await tradewind.profile.erase();
  if (!shopper) return "";
  const { events, next } = shopper;
  const right = async () => (await tradewind.rank({ limit: FIRST })).items.filter(({ sku }) => next.includes(sku)).length;
  const stranger = await right();
  await tradewind.setConsent("granted");
  if (!(await tradewind.track(events))) return "Your browser allows no profile.";
  return `In the week after, it bought ${count(next.length, "product")} of this shop. ${await right()} of them are among the first ${FIRST} now, and ${stranger} among those of a stranger.`;
}

/** Of how many products it is said how many were bought. */
const FIRST = 12;

const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;

function text(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

function list(element, rows, shown = (value) => String(value)) {
  element.replaceChildren(
    ...rows.flatMap(([name, value]) => {
      const dd = document.createElement("dd");
      dd.append(shown(value));
      return [text("dt", name), dd];
    }),
  );
}
