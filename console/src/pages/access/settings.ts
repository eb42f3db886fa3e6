/** Settings of clients with a key, ready to paste: those of docs/agents.md and docs/clients.md, which are tested. */

import { quoted } from "../../lib/shell.ts";

/** What the settings are for. */
export interface Site {
  /** The gateway's own address, without `/v1`: `http://127.0.0.1:8000`. */
  url: string;
  secret: string;
  model: string;
  /** Whether the key's clients may say who asks. */
  namesUsers: boolean;
}

/** Of a client that is set up in a form. */
export type FormField = "type" | "key" | "host" | "model";

export type Piece =
  | { kind: "file"; path: string; text: string }
  | { kind: "shell" | "code"; text: string }
  | { kind: "value"; field: FormField; text: string };

export const CLIENT_IDS = [
  "curl",
  "python",
  "node",
  "claude-code",
  "codex",
  "qwen-code",
  "cherry-studio",
  "open-webui",
  "langchain",
] as const;
export type ClientId = (typeof CLIENT_IDS)[number];

export const CLIENT_NAMES: Record<ClientId, string> = {
  curl: "curl",
  python: "Python",
  node: "Node",
  "claude-code": "Claude Code",
  codex: "Codex",
  "qwen-code": "Qwen Code",
  "cherry-studio": "Cherry Studio",
  "open-webui": "Open WebUI",
  langchain: "LangChain",
};

const MAKERS: Record<ClientId, (site: Site) => Piece[]> = {
  curl,
  python,
  node,
  "claude-code": claudeCode,
  codex,
  "qwen-code": qwenCode,
  "cherry-studio": cherryStudio,
  "open-webui": openWebui,
  langchain,
};

/** The settings of one client, in the order in which they are made. */
export function settingsOf(client: ClientId, site: Site): Piece[] {
  return MAKERS[client](site);
}

/** The first request of an admin key, which calls no model. */
export function adminCurl(origin: string, secret: string): Piece {
  return shell(
    `curl ${quoted(`${origin}/admin/v1/keys`)} \\\n  -H ${quoted(`Authorization: Bearer ${secret}`)}`,
  );
}

function shell(text: string): Piece {
  return { kind: "shell", text };
}

function file(path: string, text: string): Piece {
  return { kind: "file", path, text };
}

function exports(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([name, value]) => `export ${name}=${quoted(value)}`)
    .join("\n");
}

/** As JSON, Python, JavaScript and TOML write a string. */
function text(value: string): string {
  return JSON.stringify(value);
}

const QUESTION = "Why is the sky blue?";

function curl({ url, secret, model }: Site): Piece[] {
  const body = JSON.stringify({ model, messages: [{ role: "user", content: QUESTION }], stream: true });
  return [
    shell(
      [
        `curl -N ${quoted(`${url}/v1/chat/completions`)} \\`,
        `  -H 'Content-Type: application/json' \\`,
        `  -H ${quoted(`Authorization: Bearer ${secret}`)} \\`,
        `  --data-raw ${quoted(body)}`,
      ].join("\n"),
    ),
  ];
}

function python({ url, secret, model }: Site): Piece[] {
  const code = `from openai import OpenAI

client = OpenAI(base_url=${text(`${url}/v1`)}, api_key=${text(secret)})
completion = client.chat.completions.create(
    model=${text(model)},
    messages=[{"role": "user", "content": ${text(QUESTION)}}],
)
print(completion.choices[0].message.content)`;
  return [shell("pip install openai"), { kind: "code", text: code }];
}

function node({ url, secret, model }: Site): Piece[] {
  const code = `import OpenAI from "openai";

const client = new OpenAI({ baseURL: ${text(`${url}/v1`)}, apiKey: ${text(secret)} });
const completion = await client.chat.completions.create({
  model: ${text(model)},
  messages: [{ role: "user", content: ${text(QUESTION)} }],
});
console.log(completion.choices[0].message.content);`;
  return [shell("npm install openai"), { kind: "code", text: code }];
}

function claudeCode({ url, secret, model }: Site): Piece[] {
  const values = {
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_AUTH_TOKEN: secret,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  };
  return [shell(`${exports(values)}\nclaude --model ${quoted(model)}`)];
}

function codex({ url, secret, model }: Site): Piece[] {
  const config = `model = ${text(model)}
model_provider = "llmgw"
model_reasoning_effort = "high"

[model_providers.llmgw]
name = "llmgw"
base_url = ${text(`${url}/v1`)}
env_key = "LLMGW_API_KEY"
wire_api = "responses"`;
  return [file("~/.codex/config.toml", config), shell(`${exports({ LLMGW_API_KEY: secret })}\ncodex`)];
}

function qwenCode({ url, secret, model }: Site): Piece[] {
  const settings = `{
  "privacy": {"usageStatisticsEnabled": false},
  "security": {"auth": {"selectedType": "openai"}}
}`;
  const values = { OPENAI_BASE_URL: `${url}/v1`, OPENAI_API_KEY: secret, OPENAI_MODEL: model };
  return [file("~/.qwen/settings.json", settings), shell(`${exports(values)}\nqwen`)];
}

/** It puts `/v1/chat/completions` behind the address by itself. */
function cherryStudio({ url, secret, model }: Site): Piece[] {
  return [
    { kind: "value", field: "type", text: "OpenAI" },
    { kind: "value", field: "key", text: secret },
    { kind: "value", field: "host", text: url },
    { kind: "value", field: "model", text: model },
  ];
}

function openWebui({ url, secret, namesUsers }: Site): Piece[] {
  const values = {
    OPENAI_API_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: secret,
    ...(namesUsers ? { ENABLE_FORWARD_USER_INFO_HEADERS: "true" } : {}),
  };
  const options = Object.entries(values).map(([name, value]) => `  -e ${quoted(`${name}=${value}`)} \\`);
  return [
    shell(["docker run -d -p 3000:8080 \\", ...options, "  ghcr.io/open-webui/open-webui:main"].join("\n")),
  ];
}

function langchain({ url, secret, model }: Site): Piece[] {
  const code = `from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model=${text(model)},
    base_url=${text(`${url}/v1`)},
    api_key=${text(secret)},
)
print(model.invoke(${text(QUESTION)}).content)`;
  return [shell("pip install langchain-openai"), { kind: "code", text: code }];
}
