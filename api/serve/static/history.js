/** The last chats, kept in this browser alone; where it keeps nothing there are none. */

const NAME = "adascale.chats/1";
const MOST = 10;

/** Events that a drawing does not need once their search has ended. */
const PASSING = new Set(["branch_grew", "allocation_decided", "prompt_read"]);

/**
 * A chat: its events, a list for each exchange.
 *
 * @typedef {{id: string, searches: object[][]}} Chat
 * @returns {Chat[]} The newest first.
 */
export function chats() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? [];
  } catch {
    return [];
  }
}

/** Keep a chat as it is now; older ones go where there is no room. */
export function keep({ id, searches }) {
  const compact = searches.map((events) => events.filter(({ kind }) => !PASSING.has(kind)).map(compactEvent));
  const all = [{ id, searches: compact }, ...chats().filter((chat) => chat.id !== id)].slice(0, MOST);
  while (all.length && !store(all)) all.pop();
}

/** Forget all of them. */
export function forget() {
  store([]);
}

function store(all) {
  try {
    localStorage.setItem(NAME, JSON.stringify(all));
    return true;
  } catch {
    return false;
  }
}

/** Without what is not shown: tokens are counted, and the models' description is long. */
function compactEvent(event) {
  if (event.kind === "search_started") {
    const level = event.models.calibration && { level: event.models.calibration.level };
    return { ...event, models: { calibration: level } };
  }
  if (event.kind !== "step_proposed" || event.step.tokens !== undefined) return event;
  const { text, finish, token_ids, thought } = event.step;
  const tokens = token_ids.length;
  return { ...event, step: thought === undefined ? { text, finish, tokens } : { text: "", finish, tokens, thought } };
}
