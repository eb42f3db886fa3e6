import assert from "node:assert/strict";
import test from "node:test";
import { catalogOf, isSamePrice, priceOf } from "../../src/pages/models/catalog.ts";

const ENTRY = {
  id: "qwen3.6-plus",
  kind: "chat",
  family: "qwen",
  owned_by: "alibaba",
  modalities: { input: ["text", "image"], output: ["text"] },
  context_window: 1_000_000,
  max_output_tokens: null,
  capabilities: { streaming: true, tools: null },
  thinking: { dialect: "enable_thinking", switch_effective: true, modes: ["on", "off"] },
};

test("a catalog entry", () => {
  assert.deepEqual(catalogOf(ENTRY), {
    kind: "chat",
    family: "qwen",
    owner: "alibaba",
    input: ["text", "image"],
    output: ["text"],
    contextWindow: 1_000_000,
    maxOutput: null,
    capabilities: [
      ["streaming", true],
      ["tools", null],
    ],
    dialect: "enable_thinking",
    thinking: "switch",
  });
});

for (const [thinking, expected] of [
  [{ dialect: "enable_thinking", switch_effective: false, modes: ["on"] }, "always"],
  [{ dialect: "native", switch_effective: false, modes: ["off"] }, "never"],
  [{ dialect: "native", switch_effective: false, modes: ["on", "off"] }, "native"],
] as const) {
  test(`thinking: ${expected}`, () => assert.equal(catalogOf({ ...ENTRY, thinking }).thinking, expected));
}

const DOCUMENT = {
  currency: "CNY",
  price_currency: "USD",
  exchange: "7.1",
  per_million_tokens: [
    {
      above_input_tokens: 0,
      input: "0.56",
      cached_input: "0.07",
      cache_write: "0.56",
      output: "1.68",
      output_thinking: "1.68",
    },
  ],
  per_request: "0",
  per_image: "0.01",
  times: [{ hours: ["00:30-08:30"], days: ["mon"], timezone: "Asia/Shanghai", factor: "0.5" }],
};

test("a price", () => {
  const price = priceOf(DOCUMENT);
  assert.deepEqual(price, {
    currency: "USD",
    countedIn: "CNY",
    exchange: "7.1",
    tiers: [
      {
        aboveInputTokens: 0,
        input: "0.56",
        cachedInput: "0.07",
        cacheWrite: "0.56",
        output: "1.68",
        outputThinking: "1.68",
      },
    ],
    perRequest: "0",
    perImage: "0.01",
    slots: [{ hours: ["00:30-08:30"], days: ["mon"], timezone: "Asia/Shanghai", factor: "0.5" }],
  });
  assert.ok(isSamePrice(price, priceOf(structuredClone(DOCUMENT))));
  assert.ok(!isSamePrice(price, null));
  assert.equal(priceOf(null), null);
});
