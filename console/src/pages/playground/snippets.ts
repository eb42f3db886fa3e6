/** A request as code that sends exactly it. The key is an environment variable in each. No DOM here. */

import { isObject } from "../../lib/json.ts";
import type { Body } from "./body.ts";

export type Tongue = "curl" | "python" | "node";
export const TONGUES: readonly Tongue[] = ["curl", "python", "node"];
export const KEY_VARIABLE = "LLMGW_API_KEY";

/** What `create` of the Python SDK takes by name; everything else goes through `extra_body`. */
const PYTHON_ARGUMENTS: ReadonlySet<string> = new Set([
  "model",
  "messages",
  "stream",
  "stream_options",
  "temperature",
  "top_p",
  "max_tokens",
  "max_completion_tokens",
  "seed",
  "stop",
  "tools",
  "tool_choice",
  "parallel_tool_calls",
  "response_format",
  "reasoning_effort",
  "n",
  "user",
  "presence_penalty",
  "frequency_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
]);

/** `origin`: of the gateway, such as `http://127.0.0.1:8000`. */
export function snippetOf(tongue: Tongue, body: Body, origin: string): string {
  if (tongue === "curl") return curl(body, origin);
  return tongue === "python" ? python(body, origin) : node(body, origin);
}

function curl(body: Body, origin: string): string {
  const data = JSON.stringify(body, null, 2).replaceAll("'", "'\\''");
  return [
    `curl ${body["stream"] === true ? "-N " : ""}${origin}/v1/chat/completions \\`,
    "  -H 'Content-Type: application/json' \\",
    `  -H "Authorization: Bearer $${KEY_VARIABLE}" \\`,
    `  --data-raw '${data}'`,
  ].join("\n");
}

function python(body: Body, origin: string): string {
  const named: string[] = [];
  const extra: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) {
    if (PYTHON_ARGUMENTS.has(name)) named.push(`    ${name}=${pythonOf(value, "    ")},`);
    else extra[name] = value;
  }
  if (Object.keys(extra).length > 0) named.push(`    extra_body=${pythonOf(extra, "    ")},`);
  const isStream = body["stream"] === true;
  return [
    "import os",
    "",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url="${origin}/v1", api_key=os.environ["${KEY_VARIABLE}"])`,
    `${isStream ? "stream" : "completion"} = client.chat.completions.create(`,
    ...named,
    ")",
    ...(isStream ? PYTHON_STREAM : ["print(completion.choices[0].message)", "print(completion.usage)"]),
  ].join("\n");
}

const PYTHON_STREAM = [
  "for chunk in stream:",
  "    for choice in chunk.choices:",
  '        if reasoning := getattr(choice.delta, "reasoning_content", None):',
  '            print(reasoning, end="", flush=True)',
  "        if choice.delta.content:",
  '            print(choice.delta.content, end="", flush=True)',
  "        for call in choice.delta.tool_calls or []:",
  "            print(call.function)",
  "    if chunk.usage:",
  "        print(chunk.usage)",
];

/** A JSON value as Python writes it. `indent`: of the line that it begins in. */
function pythonOf(value: unknown, indent: string): string {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  // JSON's numbers and texts are Python's too.
  if (typeof value === "number" || typeof value === "string") return JSON.stringify(value);
  const inner = `${indent}    `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((each) => `${inner}${pythonOf(each, inner)},\n`).join("")}${indent}]`;
  }
  if (!isObject(value)) return "None";
  const members = Object.entries(value);
  if (members.length === 0) return "{}";
  const lines = members.map(([name, each]) => `${inner}${JSON.stringify(name)}: ${pythonOf(each, inner)},\n`);
  return `{\n${lines.join("")}${indent}}`;
}

function node(body: Body, origin: string): string {
  const isStream = body["stream"] === true;
  return [
    'import OpenAI from "openai";',
    "",
    `const client = new OpenAI({ baseURL: "${origin}/v1", apiKey: process.env.${KEY_VARIABLE} });`,
    `const ${isStream ? "stream" : "completion"} = await client.chat.completions.create(${JSON.stringify(body, null, 2)});`,
    ...(isStream
      ? NODE_STREAM
      : ["console.log(completion.choices[0].message);", "console.log(completion.usage);"]),
  ].join("\n");
}

const NODE_STREAM = [
  "for await (const chunk of stream) {",
  "  for (const { delta } of chunk.choices) {",
  '    process.stdout.write(delta.reasoning_content ?? "");',
  '    process.stdout.write(delta.content ?? "");',
  "    for (const call of delta.tool_calls ?? []) console.log(call.function);",
  "  }",
  "  if (chunk.usage) console.log(chunk.usage);",
  "}",
];

const LONG_DATA = 120;
const SHOWN_DATA = 40;

/** With pictures cut short, for reading: a file is millions of characters. */
export function withoutData(text: string): string {
  return text.replaceAll(/data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+/g, (url) =>
    url.length <= LONG_DATA ? url : `${url.slice(0, SHOWN_DATA)}…${url.length - SHOWN_DATA}…`,
  );
}
