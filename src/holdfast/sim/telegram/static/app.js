"use strict";

// The server renders every view. This script sends what a person does and, on each event, swaps in whatever
// the server would render now, message by message, so that the place and the keyboard focus stay.

const { user, chat, thread } = document.body.dataset;
const byId = (id) => document.getElementById(id);

async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function toast(text, kind = "") {
  const box = document.createElement("div");
  box.className = `toast ${kind}`;
  box.textContent = text;
  byId("toasts").append(box);
  setTimeout(() => box.remove(), 5000);
}

const attempt = (action) => action().catch((error) => toast(error.message, "trouble"));

// --- what the server shows now

const shown = new Map();

function remember(root) {
  for (const message of root.querySelectorAll(".message")) shown.set(message.id, message.outerHTML);
}

function swapMessages(fresh) {
  const list = byId("messages");
  const wanted = fresh.getElementById("messages");
  if (!list || !wanted) return;
  const wasAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const ids = new Set([...wanted.children].map((message) => message.id));
  for (const old of [...list.children]) if (!ids.has(old.id)) old.remove();
  for (const message of [...wanted.children]) {
    const old = byId(message.id);
    const html = message.outerHTML;
    if (!old) list.append(message);
    else if (shown.get(message.id) !== html) old.replaceWith(message);
    shown.set(message.id, html);
  }
  if (wasAtEnd) list.scrollTop = list.scrollHeight;
}

function swapTopics(fresh) {
  const wanted = fresh.querySelector("nav.topics");
  const old = document.querySelector("nav.topics");
  if (wanted && old) old.replaceWith(wanted);
  else if (wanted) byId("messages").before(wanted);
}

let refreshing = null;
let isStale = false;

async function refresh() {
  if (refreshing) { isStale = true; return refreshing; }
  refreshing = (async () => {
    do {
      isStale = false;
      const response = await fetch(location.href);
      const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
      byId("chats").replaceWith(fresh.getElementById("chats"));
      swapMessages(fresh);
      swapTopics(fresh);
    } while (isStale);
  })();
  try { await refreshing; } finally { refreshing = null; }
}

let actionEnds = 0;

function showAction(event) {
  const status = byId("status");
  if (!status || String(event.chat) !== chat) return;
  status.textContent = `${event.who} is ${event.action.replaceAll("_", " ")}…`;
  clearTimeout(actionEnds);
  actionEnds = setTimeout(() => { status.textContent = status.dataset.rest; }, 5000);
}

const events = new EventSource(`/human/events?user=${encodeURIComponent(user)}`);
events.onopen = () => refresh().catch(() => {});
events.onmessage = (message) => {
  const event = JSON.parse(message.data);
  if (event.kind === "action") showAction(event);
  else if (event.kind === "contact") location.reload();
  else refresh().catch(() => {});
};

// --- what a person does

let replyTo = 0;

function setReply(message) {
  replyTo = message ? Number(message.dataset.id) : 0;
  const bar = byId("replying");
  bar.hidden = !message;
  if (message) {
    bar.firstElementChild.textContent = `Reply to ${message.dataset.author}: ${message.querySelector(".text")?.textContent ?? ""}`;
    byId("write").text.focus();
  }
}

async function send(text) {
  const place = thread ? { thread: Number(thread) } : {};
  await post("/human/send", { user, chat, text, ...place, ...(replyTo ? { reply_to: replyTo } : {}) });
  if (byId("replying")) setReply(null);
  await refresh();
  byId("messages").scrollTop = byId("messages").scrollHeight;
}

function showAnswer(answer) {
  if (!answer.answered) return toast(answer.reason, "trouble");
  if (answer.url) window.open(answer.url, "_blank", "noopener");
  if (!answer.text) return;
  if (!answer.show_alert) return toast(answer.text);
  const dialog = byId("alert");
  dialog.firstElementChild.textContent = answer.text;
  dialog.showModal();
}

async function press(button) {
  const message_id = Number(button.closest(".message").dataset.id);
  button.classList.add("busy");
  button.disabled = true;
  try {
    showAnswer(await post("/human/press", { user, chat, message_id, button: button.dataset.press }));
  } finally {
    button.classList.remove("busy");
    button.disabled = false;
  }
}

function filterMenu(text) {
  const menu = byId("menu");
  let count = 0;
  for (const button of menu.querySelectorAll("button")) {
    const fits = button.dataset.command.startsWith(text);
    button.parentElement.hidden = !fits;
    count += fits;
  }
  menu.hidden = count === 0;
  byId("commands")?.setAttribute("aria-expanded", String(!menu.hidden));
}

function fillIn(command) {
  const field = byId("write").text;
  field.value = `${command} `;
  filterMenu("-");
  field.focus();
}

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest(selector);
  if (at("[data-press]")) attempt(() => press(at("[data-press]")));
  else if (at("[data-copy]")) attempt(async () => { await navigator.clipboard.writeText(at("[data-copy]").dataset.copy); toast("Copied"); });
  else if (at("#menu button")) fillIn(at("#menu button").dataset.command);
  else if (at("#commands")) byId("menu").hidden ? filterMenu("/") : filterMenu("-");
  else if (at("a.command")) { event.preventDefault(); attempt(() => send(at("a.command").dataset.command)); }
  else if (at(".answer")) setReply(at(".message"));
  else if (at("#replying button")) setReply(null);
  else if (at("#start")) attempt(async () => { await send("/start"); location.reload(); });
  else if (at("#block")) attempt(() => post("/human/block", { user, bot: chat, blocked: at("#block").dataset.blocked === "true" }));
});

byId("person").addEventListener("change", (event) => {
  location.href = `/?${new URLSearchParams({ user: event.target.value })}`;
});

byId("write")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const field = event.target.text;
  if (!field.value.trim()) return;
  attempt(async () => { await send(field.value); field.value = ""; filterMenu("-"); });
});

byId("write")?.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
});

byId("write")?.text.addEventListener("input", (event) => {
  filterMenu(event.target.value.startsWith("/") ? event.target.value : "-");
});

remember(document);
if (byId("messages")) byId("messages").scrollTop = byId("messages").scrollHeight;
byId("write")?.text.focus({ preventScroll: true });
