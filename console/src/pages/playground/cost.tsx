import type { JSX } from "preact";
import { ApiFault } from "../../api/fault.ts";
import { askGateway } from "../../api/gateway.ts";
import { textsOf } from "../../i18n/texts.ts";
import { objectIn, textIn } from "../../lib/json.ts";
import { useResource } from "../../lib/resource.ts";
import { Money } from "../../ui/values.tsx";
import { Figure } from "./figure.tsx";
import { secretInUse } from "./keys.tsx";
import type { Asked } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

/** An exact decimal number in a currency; null: the model has no price. */
interface Charge {
  amount: string | null;
  currency: string | null;
}

const LOOKS = 3;
const PAUSE_MS = 1000;
const FIRST_ERROR_STATUS = 400;
const NOT_FOUND = 404;
const OVERLOADED = 503;

/** What was told stays: another key, which is in use later, is not told. */
const told = new WeakMap<Asked, Charge>();

/** What the ledger says: an answer does not tell its cost. Nothing, if it never says. */
export function Cost({ asked }: { asked: Asked }): JSX.Element | null {
  const t = textsOf(PLAYGROUND).answer;
  const { requestId, fault } = asked.state.value;
  // What was refused may not be in the ledger, as with a key that has ended. A stream may fail with status 200.
  const isRefused = fault instanceof ApiFault && fault.status >= FIRST_ERROR_STATUS;
  const { data } = useResource(isRefused ? null : requestId, (signal) => chargeOf(asked, signal));
  if (data === undefined) return null;
  return (
    <Figure name={t.cost} hint={t.costHint}>
      {data.amount === null ? (
        <span class="muted">{t.noPrice}</span>
      ) : (
        <Money amount={data.amount} currency={data.currency} />
      )}
    </Figure>
  );
}

async function chargeOf(asked: Asked, signal: AbortSignal): Promise<Charge> {
  const known = told.get(asked);
  if (known !== undefined) return known;
  const path = `/v1/usage/me/${asked.state.value.requestId ?? ""}`;
  const row = objectIn(await look(path, secretInUse() ?? "", signal));
  const charge = { amount: textIn(row["cost"]), currency: textIn(row["currency"]) };
  told.set(asked, charge);
  return charge;
}

/** The gateway waits for a row that is about to be written; so a second look is rare. */
async function look(path: string, secret: string, signal: AbortSignal): Promise<unknown> {
  for (let left = LOOKS; ; left -= 1) {
    try {
      return await (await askGateway(path, secret, { signal })).json();
    } catch (error) {
      const isLater =
        error instanceof ApiFault && (error.status === NOT_FOUND || error.status === OVERLOADED);
      if (!isLater || left <= 1 || signal.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
