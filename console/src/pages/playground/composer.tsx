import type { JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { bytes } from "../../lib/format.ts";
import { Button, Field, Select } from "../../ui/basics.tsx";
import type { Model } from "./catalog.ts";
import { ROLES } from "./conversation.ts";
import { isSendKey } from "./editor.tsx";
import { PictureList } from "./picture-list.tsx";
import { isWebAddress, MOST_BYTES, picturesOf, type Refused } from "./pictures.ts";
import { ask } from "./run.ts";
import { problemsOf } from "./settings.ts";
import {
  addDraft,
  draft,
  entries,
  isDraftEmpty,
  lanes,
  running,
  setDraft,
  settings,
  stopAll,
} from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

const IS_APPLE = /Mac|iP(hone|ad)/.test(navigator.userAgent);
const KEYS = IS_APPLE ? "⌘ ↵" : "Ctrl ↵";

/** The models that are asked and take no pictures. */
function withoutPictures(models: readonly Model[]): string[] {
  return models
    .filter((model) => !model.takesPictures && lanes.value.some((lane) => lane.model === model.id))
    .map(({ id }) => id);
}

/** Where messages are written. */
export function Composer({ secret, models }: { secret: string; models: readonly Model[] }): JSX.Element {
  const t = textsOf(PLAYGROUND).compose;
  const [refused, setRefused] = useState<readonly Refused[]>([]);
  const [hasAddress, setHasAddress] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const { role, text, pictures } = draft.value;
  const blind = withoutPictures(models);
  const takesPictures = role === "user" && blind.length === 0;
  const hasProblems = Object.keys(problemsOf(settings.value)).length > 0;
  const isEmpty = isDraftEmpty(draft.value);
  const isRunning = running.value > 0;
  const isAsking = !isEmpty || entries.value.at(-1)?.kind === "written";
  const isReady = !isRunning && !hasProblems && isAsking;
  const send = (): void => {
    if (!isReady) return;
    addDraft();
    ask(secret);
  };
  const take = async (given: readonly File[]): Promise<void> => {
    const found = await picturesOf(given);
    setRefused(found.refused);
    setDraft({ role: "user", pictures: [...draft.value.pictures, ...found.taken] });
  };
  const isOver = useDrop((given) => {
    if (takesPictures) void take(given);
  });
  return (
    <form
      class={`composer panel ${isOver ? "over" : ""}`}
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onKeyDown={(event) => {
        if (!isSendKey(event)) return;
        event.preventDefault();
        send();
      }}
      onPaste={(event) => {
        const given = [...(event.clipboardData?.files ?? [])];
        if (given.length === 0 || !takesPictures) return;
        event.preventDefault();
        void take(given);
      }}
    >
      <PictureList
        pictures={role === "user" ? pictures : []}
        onRemove={(index) => setDraft({ pictures: pictures.toSpliced(index, 1) })}
      />
      <textarea
        class="input"
        aria-label={t.message}
        rows={Math.min(Math.max(2, text.split("\n").length), 12)}
        placeholder={takesPictures ? t.placeholder : t.placeholderText}
        value={text}
        onInput={(event) => setDraft({ text: event.currentTarget.value })}
      />
      {hasAddress && takesPictures ? <AddressField onClose={() => setHasAddress(false)} /> : null}
      <div class="row">
        <RoleSelect />
        {takesPictures ? (
          <>
            <input
              ref={files}
              type="file"
              accept="image/*"
              multiple
              hidden
              aria-label={t.image}
              onChange={(event) => {
                void take([...(event.currentTarget.files ?? [])]);
                event.currentTarget.value = "";
              }}
            />
            <Button look="plain" icon="image" onClick={() => files.current?.click()}>
              {t.image}
            </Button>
            <Button look="plain" aria-expanded={hasAddress} onClick={() => setHasAddress(!hasAddress)}>
              {t.imageUrl}
            </Button>
          </>
        ) : null}
        {role === "user" && blind.length > 0 ? (
          <span class="muted small">{t.noImages(blind.join(", "))}</span>
        ) : null}
        {role === "system" ? <span class="muted small">{t.system}</span> : null}
        <span class="row sending">
          <Button look="plain" title={t.addHint} disabled={isEmpty} onClick={addDraft}>
            {t.add}
          </Button>
          {/* Keys: a button that became the other one under a press would also do the other's deed. */}
          {isRunning ? (
            <Button key="stop" icon="stop" onClick={stopAll}>
              {t.stopAll}
            </Button>
          ) : (
            <Button
              key="send"
              type="submit"
              look="primary"
              icon="send"
              disabled={!isReady}
              title={t.sendHint(KEYS)}
            >
              {t.send}
            </Button>
          )}
        </span>
      </div>
      <div role="status">
        {hasProblems ? <p class="wrong small">{t.problems}</p> : null}
        {refused.map(({ name, why }) => (
          <p key={name} class="wrong small">
            {why === "tooLarge" ? t.tooLarge(name, bytes(MOST_BYTES)) : t.notAnImage(name)}
          </p>
        ))}
        {isOver ? <p class="small">{takesPictures ? t.drop : t.noImages(blind.join(", "))}</p> : null}
      </div>
    </form>
  );
}

/** Files that are dropped anywhere on the page; true while some are held over it. */
function useDrop(onFiles: (files: File[]) => void): boolean {
  const [isOver, setOver] = useState(false);
  const latest = useRef(onFiles);
  latest.current = onFiles;
  // As soon as the page is seen: the browser would leave it for a file that is dropped before.
  useLayoutEffect(() => {
    const over = (event: DragEvent): void => {
      if (event.dataTransfer?.types.includes("Files") !== true) return;
      event.preventDefault(); // else the browser would leave the page for the file
      setOver(true);
    };
    const leave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const drop = (event: DragEvent): void => {
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      latest.current(files);
    };
    window.addEventListener("dragover", over);
    window.addEventListener("dragleave", leave);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragover", over);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("drop", drop);
    };
  }, []);
  return isOver;
}

function RoleSelect(): JSX.Element {
  const t = textsOf(PLAYGROUND);
  return (
    <div class="role-select">
      <Select
        label={t.compose.role}
        value={draft.value.role}
        options={ROLES.map((role) => [role, t.roles[role]] as const)}
        onChange={(role) => setDraft({ role })}
      />
    </div>
  );
}

function AddressField({ onClose }: { onClose: () => void }): JSX.Element {
  const t = textsOf(PLAYGROUND).compose;
  const [url, setUrl] = useState("");
  const [isWrong, setWrong] = useState(false);
  const add = (): void => {
    const address = url.trim();
    if (!isWebAddress(address)) {
      setWrong(true);
      return;
    }
    setDraft({ role: "user", pictures: [...draft.value.pictures, { url: address, name: address }] });
    onClose();
  };
  return (
    <div class="row address-field">
      <div class="grow">
        <Field label={t.url} hint={t.urlHint} wrong={isWrong ? t.wrongUrl : undefined}>
          {(id) => (
            <input
              id={id}
              class="input mono"
              inputMode="url"
              placeholder="https://…"
              value={url}
              onInput={(event) => {
                setUrl(event.currentTarget.value);
                setWrong(false);
              }}
              onKeyDown={(event) => {
                if (event.key !== "Enter") return;
                event.preventDefault();
                event.stopPropagation();
                add();
              }}
            />
          )}
        </Field>
      </div>
      <Button onClick={add} disabled={url.trim() === ""}>
        {t.addUrl}
      </Button>
    </div>
  );
}
