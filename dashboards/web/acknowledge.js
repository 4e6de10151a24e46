// Takes a page on: asks for a name, tells the board, and leaves what is shown to the next overview.

const NAME = "warroom-name";

// A browser that keeps nothing asks again; it must not keep anybody from taking a page on.
function remembered() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

function remember(name) {
  try {
    localStorage.setItem(NAME, name);
  } catch {
    // Asked again next time.
  }
}

async function takeOn(alertId, note, button) {
  const question = note ? `Who takes this on?\n\n${note}` : "Who takes this on?";
  const by = window.prompt(question, remembered())?.trim();
  if (!by) return;
  remember(by);
  button.disabled = true;
  try {
    const answer = await fetch(`/api/v1/alerts/${encodeURIComponent(alertId)}/ack`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Warroom": "1" },
      body: JSON.stringify({ by }),
      signal: AbortSignal.timeout(8000),
    });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    button.textContent = "noted";
  } catch (error) {
    console.warn("not acknowledged", error);
    button.textContent = "not noted, try again";
    button.disabled = false;
  }
}

export function ackButton(row) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "ack";
  // Where Alertmanager tells PagerDuty, an ack given here stops nobody from being called.
  button.textContent = row.ack_note ? "note here" : "ack";
  button.title = row.ack_note;
  button.setAttribute("aria-label", `${row.ack_note ? "Note who has" : "Acknowledge"}: ${row.name}`);
  button.addEventListener("click", () => takeOn(row.id, row.ack_note, button));
  return button;
}
