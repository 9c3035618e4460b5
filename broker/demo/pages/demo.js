/* The chat: posts the conversation, and writes the answer down as it arrives. */
const form = document.getElementById("ask");
const log = document.getElementById("log");
const problem = document.getElementById("problem");
const conversation = [];

function show(sentence) {
  problem.textContent = sentence;
  problem.hidden = !sentence;
}

function line(name, text) {
  log.querySelector(".empty")?.remove();
  const entry = document.createElement("p");
  const who = document.createElement("span");
  const words = document.createElement("span");
  who.className = "who";
  who.textContent = name;
  words.textContent = text;
  entry.append(who, words);
  log.append(entry);
  log.scrollTop = log.scrollHeight;
  return words;
}

/* One event of the stream: a piece of text, an error in the provider's shape, or nothing of interest. */
function read(event, words) {
  const data = event.split("\n").filter((row) => row.startsWith("data:")).map((row) => row.slice(5).trim()).join("\n");
  if (!data || data === "[DONE]") return;
  const value = JSON.parse(data);
  if (value.error) throw new Error(value.error.message);
  words.textContent += value.choices?.[0]?.delta?.content ?? "";
  log.scrollTop = log.scrollHeight;
}

async function follow(body, words) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const events = (rest + piece.value).replaceAll("\r\n", "\n").split("\n\n");
    rest = events.pop();
    for (const event of events) read(event, words);
  }
}

async function send(message) {
  show("");
  conversation.push({ role: "user", content: message });
  line("You", message);
  const answer = await fetch("/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(conversation.slice(-20)),
  });
  if (!answer.ok) {
    conversation.pop();
    throw new Error((await answer.json()).error.message);
  }
  const words = line("Model", "");
  try {
    await follow(answer.body, words);
  } finally {
    conversation.push({ role: "assistant", content: words.textContent });
  }
}

form?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target !== form.elements.message) return;
  event.preventDefault();
  form.requestSubmit();
});

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const field = form.elements.message;
  const button = document.getElementById("send");
  const message = field.value.trim();
  if (!message || button.disabled) return;
  button.disabled = true;
  field.value = "";
  try {
    await send(message);
  } catch (trouble) {
    show(trouble instanceof TypeError ? "The connection broke." : trouble.message);
  } finally {
    button.disabled = false;
    field.focus();
  }
});
