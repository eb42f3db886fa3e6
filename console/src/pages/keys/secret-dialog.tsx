import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { Button, Checkbox, Section, Select, TextField } from "../../ui/basics.tsx";
import { Code, CopyButton } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { type GatewayFacts, gatewayUrl, useModelIds } from "../access/facts.ts";
import {
  adminCurl,
  CLIENT_IDS,
  CLIENT_NAMES,
  type ClientId,
  type Piece,
  settingsOf,
} from "../access/settings.ts";
import { type ShownSecret, shownSecret } from "./secret.ts";
import { KEYS } from "./texts.ts";

interface SecretDialogProps {
  shown: ShownSecret;
  facts: GatewayFacts | undefined;
}

/** A new secret, once. It can be closed when it was copied, or somebody says that it is stored. */
export function SecretDialog({ shown, facts }: SecretDialogProps): JSX.Element {
  const t = textsOf(KEYS).secret;
  const { key, isRotated } = shown;
  const [isKept, setKept] = useState(false);
  const close = (): void => {
    shownSecret.value = null;
  };
  useEffect(() => {
    if (isKept) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isKept]);
  const onCopied = (): void => setKept(true);
  return (
    <Dialog title={isRotated ? t.rotatedTitle : t.title} look="wide" onClose={close} isHeld={!isKept}>
      <div class="note warn">{t.once}</div>
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset would say no more */}
      <div class="secret" role="group" aria-label={t.label}>
        <code>{key.secret}</code>
        <CopyButton text={key.secret} label={t.copy} onCopied={onCopied} />
      </div>
      <Section title={t.settings}>
        {key.kind === "model" ? (
          <ClientSettings shown={shown} facts={facts} onCopied={onCopied} />
        ) : (
          <>
            <p>{t.adminWhat}</p>
            <PieceView piece={adminCurl(location.origin, key.secret)} onCopied={onCopied} />
          </>
        )}
      </Section>
      <div class="deeds">
        <span class="grow">
          <Checkbox label={t.kept} checked={isKept} onChange={setKept} />
        </span>
        <Button look="primary" disabled={!isKept} title={isKept ? undefined : t.held} onClick={close}>
          {t.done}
        </Button>
      </div>
    </Dialog>
  );
}

interface ClientSettingsProps extends SecretDialogProps {
  onCopied: () => void;
}

function ClientSettings({ shown: { key }, facts, onCopied }: ClientSettingsProps): JSX.Element {
  const t = textsOf(KEYS).secret;
  const [client, setClient] = useState<ClientId>("curl");
  const [typedAddress, setAddress] = useState<string | null>(null);
  const [chosen, setChosen] = useState<string | null>(null);
  const known = useModelIds().data?.names ?? [];
  const models = key.models ?? known;
  const model = chosen ?? models[0] ?? t.noModel;
  const address = typedAddress ?? (facts === undefined ? location.origin : gatewayUrl(facts, location));
  const site = {
    url: address.trim().replace(/\/+$/, ""),
    secret: key.secret,
    model,
    namesUsers: key.trusts_user_header,
  };
  const isApart = facts !== undefined && facts.gatewayPort !== null;
  return (
    <>
      <div class="fields two">
        <Select
          label={t.client}
          value={client}
          options={CLIENT_IDS.map((id) => [id, CLIENT_NAMES[id]])}
          onChange={setClient}
        />
        <Select
          label={t.model}
          value={model}
          options={(models.length === 0 ? [model] : models).map((each): [string, string] => [each, each])}
          onChange={setChosen}
        />
        <TextField
          label={t.address}
          value={address}
          onInput={setAddress}
          hint={isApart ? t.addressApart : undefined}
        />
      </div>
      {client === "cherry-studio" ? <p class="muted small">{t.cherry}</p> : null}
      {client === "open-webui" ? <p class="muted small">{t.openWebui}</p> : null}
      {settingsOf(client, site).map((piece) => (
        // A piece tells by its text whether the secret was in what was copied.
        <PieceView
          key={piece.text}
          piece={piece}
          onCopied={piece.text.includes(key.secret) ? onCopied : undefined}
        />
      ))}
    </>
  );
}

function PieceView({ piece, onCopied }: { piece: Piece; onCopied: (() => void) | undefined }): JSX.Element {
  const t = textsOf(KEYS).secret;
  const label =
    piece.kind === "file"
      ? t.file(piece.path)
      : piece.kind === "value"
        ? t.fields[piece.field]
        : piece.kind === "shell"
          ? t.shell
          : t.code;
  return (
    <div class="piece">
      <span class="label small muted">{label}</span>
      <Code text={piece.text} label={label} {...(onCopied === undefined ? {} : { onCopied })} />
    </div>
  );
}
