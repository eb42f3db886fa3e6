import { isObject, objectsIn } from "../lib/json.ts";

/** One thing that is wrong with an input, as the admin API tells it. */
export interface InputFault {
  /** Path of the field; null: the whole. */
  param: string | null;
  message: string;
}

/** An answer other than success. */
export class ApiFault extends Error {
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  readonly faults: readonly InputFault[];
  readonly retryAfterS: number | null;

  constructor(status: number, code: string, message: string, response: Response, faults: InputFault[] = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.faults = faults;
    this.requestId = response.headers.get("x-request-id");
    const retryAfter = Number(response.headers.get("retry-after"));
    this.retryAfterS = retryAfter > 0 ? retryAfter : null;
  }
}

/** The gateway did not answer at all. */
export class Unreachable extends Error {}

/** An answer that was cut short, or that is not the gateway's: something between spoke instead. */
export class Unreadable extends Error {}

/** What was given as a key can't be one. */
export class NotAKey extends Error {}

/** The gateway has another console than the one that is open: it was upgraded meanwhile. */
export class Outdated extends Error {}

/** Whether it is known what happened, so that it can be told in words: all but a defect of the console. */
export function isFault(error: unknown): boolean {
  return (
    error instanceof ApiFault ||
    error instanceof Unreachable ||
    error instanceof Unreadable ||
    error instanceof NotAKey ||
    error instanceof Outdated
  );
}

/** The body of an answer. Throws Unreadable; an abort passes as it is. */
export async function jsonOf(response: Response): Promise<unknown> {
  return response.json().catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Unreadable();
  });
}

function faultsOf(value: unknown): InputFault[] {
  return objectsIn(value).map((each) => ({
    param: typeof each["param"] === "string" ? each["param"] : null,
    message: String(each["message"] ?? ""),
  }));
}

/** What an error answer says. One whose body is not the gateway's own has no `code` and no words. */
export function faultOf(response: Response, body: unknown): ApiFault {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const code = typeof error["code"] === "string" ? error["code"] : "";
  const message = typeof error["message"] === "string" ? error["message"] : "";
  return new ApiFault(response.status, code, message, response, faultsOf(error["faults"]));
}
