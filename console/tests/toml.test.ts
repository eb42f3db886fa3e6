import assert from "node:assert/strict";
import { test } from "node:test";
import { tomlOf } from "../src/lib/toml.ts";

test("a config as TOML has it", () => {
  const config = {
    title: "x",
    server: { host: "127.0.0.1", port: 8000, cors_origins: [] },
    cache: { url: null },
    upstreams: { qwen: { api_key: "**********" }, "my glm": { wait_s: 0.5 } },
    models: [{ id: "a", price: { input: "2", tiers: [], cached: null }, drop: ["seed"] }, { id: 'b"' }],
  };
  assert.equal(
    tomlOf(config),
    `title = "x"

[server]
host = "127.0.0.1"
port = 8000
cors_origins = []

[cache]

[upstreams.qwen]
api_key = "**********"

[upstreams."my glm"]
wait_s = 0.5

[[models]]
id = "a"
price = { input = "2", tiers = [] }
drop = ["seed"]

[[models]]
id = "b\\""`,
  );
});
