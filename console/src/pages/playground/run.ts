/** Asking a model, and taking in what it answers. */
import { signal } from "@preact/signals";
import { createParser } from "eventsource-parser";
import { ApiFault } from "../../api/fault.ts";
import { askGateway } from "../../api/gateway.ts";
import { absorbEvent, absorbWhole, type Incoming, type Moments, nothingYet } from "./answer.ts";
import { bodyOf } from "./body.ts";
import {
  type AnswerState,
  type Asked,
  addAnswers,
  entriesBefore,
  lanes,
  newId,
  type Phase,
  running,
  settings,
  wireMessages,
} from "./store.ts";

const PATH = "/v1/chat/completions";

/** Ask models with the conversation as it is; all of them unless `which` names some by place. */
export function ask(secret: string, which?: readonly number[]): void {
  const answers = lanes.value.map((lane, index): Asked | null => {
    if (which !== undefined && !which.includes(index)) return null;
    return {
      id: newId(),
      lane,
      body: bodyOf(lane, wireMessages(entriesBefore(index), index), settings.value),
      isStream: settings.value.stream,
      state: signal(nothing()),
      abort: new AbortController(),
    };
  });
  addAnswers(answers);
  for (const asked of answers) if (asked !== null) void follow(asked, secret);
}

function nothing(): AnswerState {
  return {
    phase: "waiting",
    text: "",
    reasoning: "",
    calls: [],
    finishReason: null,
    usage: null,
    servedAs: null,
    moments: { asked: performance.now(), first: null, answer: null, end: null },
    fault: null,
    headers: [],
    requestId: null,
  };
}

/** From the request to the end of its answer, whatever that is. It never throws. */
async function follow(asked: Asked, secret: string): Promise<void> {
  running.value += 1;
  const incoming = nothingYet();
  const moments = { ...asked.state.value.moments };
  const paint = painter(() => show(asked, incoming, moments, "streaming"));
  let phase: Phase = "failed";
  let fault: Error | null = null;
  try {
    const response = await askGateway(PATH, secret, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(asked.body),
      signal: asked.abort.signal,
    });
    asked.state.value = { ...asked.state.value, ...headOf(response) };
    await read(response, incoming, () => {
      note(moments, incoming);
      paint.soon();
    });
    if (incoming.error !== null) {
      const { code, message } = incoming.error;
      fault = new ApiFault(response.status, code, message, response);
    } else {
      phase = incoming.isComplete ? "done" : "cut";
    }
  } catch (error) {
    if (asked.abort.signal.aborted) phase = "stopped";
    else if (asked.state.value.headers.length > 0)
      phase = "cut"; // the connection broke under the answer
    else fault = error instanceof Error ? error : new Error(String(error));
  } finally {
    paint.cancel();
    moments.end = performance.now();
    const { requestId } = asked.state.value;
    show(asked, incoming, moments, phase);
    const told = fault instanceof ApiFault ? fault.requestId : null;
    asked.state.value = { ...asked.state.value, fault, requestId: requestId ?? told };
    running.value -= 1;
  }
}

function headOf(response: Response): Pick<AnswerState, "headers" | "requestId"> {
  return { headers: [...response.headers], requestId: response.headers.get("x-request-id") };
}

/** Read an answer to its end, streamed or whole. Throws what `fetch` does where the connection breaks. */
async function read(response: Response, into: Incoming, onMore: () => void): Promise<void> {
  if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
    absorbWhole(into, await response.json());
    onMore();
    return;
  }
  const parser = createParser({ onEvent: ({ data }) => absorbEvent(into, data) });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
    onMore();
  }
}

function note(moments: Moments, { text, reasoning, calls }: Incoming): void {
  const isAnswer = text !== "" || calls.length > 0;
  const now = performance.now();
  if (isAnswer || reasoning !== "") moments.first ??= now;
  if (isAnswer) moments.answer ??= now;
}

function show(asked: Asked, incoming: Incoming, moments: Moments, phase: Phase): void {
  asked.state.value = {
    ...asked.state.value,
    phase,
    text: incoming.text,
    reasoning: incoming.reasoning,
    calls: [...incoming.calls],
    finishReason: incoming.finishReason,
    usage: incoming.usage,
    servedAs: incoming.model,
    moments: { ...moments },
  };
}

interface Painter {
  soon: () => void;
  cancel: () => void;
}

/** At most half of the time is spent on painting: where a frame takes long, the next one waits as long. */
function painter(paint: () => void): Painter {
  let wanted = 0;
  let notBefore = 0;
  const frame = (now: number): void => {
    if (now < notBefore) {
      wanted = requestAnimationFrame(frame);
      return;
    }
    wanted = 0;
    const began = performance.now();
    paint();
    // The next frame begins when this one is laid out and on the screen.
    requestAnimationFrame(() => {
      const ended = performance.now();
      notBefore = ended + (ended - began) / 2;
    });
  };
  return {
    soon: () => {
      if (wanted === 0) wanted = requestAnimationFrame(frame);
    },
    cancel: () => cancelAnimationFrame(wanted),
  };
}
