// The AI SDK, whole and streamed, by the variables of the page. Prints what was said, as JSON.
import { createAnthropic } from "@ai-sdk/anthropic";
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { createMistral } from "@ai-sdk/mistral";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";

const env = process.env;
const openai = createOpenAI({ baseURL: env.OPENAI_BASE_URL });
const compatible = createOpenAICompatible({ name: "broker", baseURL: env.OPENAI_BASE_URL, apiKey: env.OPENAI_API_KEY });
const models = {
  "openai responses": openai("gpt-4o-mini"),
  "openai chat": openai.chat("gpt-4o-mini"),
  "openai compatible": compatible("gpt-4o-mini"),
  anthropic: createAnthropic({ baseURL: env.ANTHROPIC_BASE_URL })("claude-haiku-4-5"),
  google: createGoogleGenerativeAI({ baseURL: env.GOOGLE_GENERATIVE_AI_BASE_URL })("gemini-2.5-flash"),
  mistral: createMistral({ baseURL: `${env.MISTRAL_SERVER_URL}/v1` })("mistral-small-2603"),
};

const said = {};
for (const [name, model] of Object.entries(models)) {
  const asked = { model, prompt: "Hello", maxOutputTokens: 50, maxRetries: 0 };
  const { text } = await generateText(asked);
  said[name] = [text, await streamText(asked).text];
}
const refused = await generateText({ model: openai("gpt-4o"), prompt: "Hello", maxRetries: 0 }).catch((error) =>
  APICallError.isInstance(error) ? error.statusCode : String(error),
);
console.log(JSON.stringify({ said, refused }));
