import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { Button } from "../../ui/basics.tsx";
import { Icon } from "../../ui/icons.tsx";
import type { Picture } from "./conversation.ts";
import { PLAYGROUND } from "./texts.ts";

interface PictureListProps {
  pictures: readonly Picture[];
  onRemove?: ((index: number) => void) | undefined;
}

/** Files are shown; an address is only told: this page asks no other host for anything. */
export function PictureList({ pictures, onRemove }: PictureListProps): JSX.Element | null {
  const t = textsOf(PLAYGROUND);
  if (pictures.length === 0) return null;
  return (
    <ul class="pictures">
      {pictures.map((picture, index) => (
        <li key={index} class="picture">
          {picture.url.startsWith("data:") ? (
            <img src={picture.url} alt={t.message.image(picture.name)} />
          ) : (
            <span class="address" title={picture.url}>
              <Icon name="image" />
              <span class="unseen">{t.message.imageAt("")}</span>
              <span class="mono">{picture.url}</span>
            </span>
          )}
          {onRemove === undefined ? null : (
            <Button
              look="plain"
              icon="close"
              aria-label={t.compose.removeImage(picture.name)}
              onClick={() => onRemove(index)}
            />
          )}
        </li>
      ))}
    </ul>
  );
}
