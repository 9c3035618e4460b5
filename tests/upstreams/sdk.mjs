// The official SDKs in JavaScript, unmodified: each call of each, whole and streamed, through the broker whose address and
// tokens are given. Prints what was said, as JSON.
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const [broker, ...tokens] = process.argv.slice(2);
const messages = [{ role: "user", content: "hello" }];
const openai = new OpenAI({ baseURL: `${broker}/proxy/openai/v1`, apiKey: tokens[0], maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: `${broker}/proxy/anthropic`, apiKey: tokens[1], maxRetries: 0 });
const google = new GoogleGenAI({
  apiKey: tokens[2],
  httpOptions: { baseUrl: `${broker}/proxy/google`, apiVersion: "v1beta" },
});

async function joined(events, piece) {
  let text = "";
  for await (const event of events) text += piece(event) ?? "";
  return text;
}

const calls = {
  "a chat": async () =>
    (await openai.chat.completions.create({ model: "gpt-4o-mini", messages, max_tokens: 50 })).choices[0].message.content,
  "a chat stream": async () =>
    joined(
      await openai.chat.completions.create({ model: "gpt-4o-mini", messages, max_tokens: 50, stream: true }),
      (chunk) => chunk.choices[0]?.delta.content,
    ),
  "a response": async () => (await openai.responses.create({ model: "gpt-4o-mini", input: "hello" })).output_text,
  "a response stream": async () =>
    joined(await openai.responses.create({ model: "gpt-4o-mini", input: "hello", stream: true }), (event) =>
      event.type === "response.output_text.delta" ? event.delta : "",
    ),
  "a message": async () =>
    (await anthropic.messages.create({ model: "claude-haiku-4-5", messages, max_tokens: 50 })).content[0].text,
  "a message stream": async () =>
    joined(
      await anthropic.messages.create({ model: "claude-haiku-4-5", messages, max_tokens: 50, stream: true }),
      (event) => event.delta?.text,
    ),
  "a content": async () =>
    (await google.models.generateContent({ model: "gemini-2.5-flash", contents: "hello" })).text,
  "a content stream": async () =>
    joined(
      await google.models.generateContentStream({ model: "gemini-2.5-flash", contents: "hello" }),
      (chunk) => chunk.text,
    ),
};

const refused = {
  "a chat": () => openai.chat.completions.create({ model: "gpt-4o", messages }),
  "a message": () => anthropic.messages.create({ model: "claude-opus-4-1", messages, max_tokens: 50 }),
  "a content": () => google.models.generateContent({ model: "gemini-2.5-pro", contents: "hello" }),
};

const said = {};
for (const [name, call] of Object.entries(calls)) said[name] = await call();
const told = {};
for (const [name, call] of Object.entries(refused)) told[name] = await call().then(() => "taken", (error) => error.status);
console.log(JSON.stringify({ said, told }));
