//! What the assistant thought, of a `reasoning` item.

use crate::api::responses::SEALED_TEXT;
use crate::json::{Text, Value};
use crate::request::refusal::Refusal;
use crate::seal::Seal;
use crate::turn::key::is_escaped_text;

use super::content::Parts;
use super::items::Item;

/// Between the parts of a summary.
const BLANK_LINE: &[u8] = br"\n\n";

/// Append the escaped text: what was sealed, for that is whole; else the text in `content`, else the summary. False: there is
/// none, or the seal is not ours.
pub(super) fn write(
    item: &Item,
    seal: Option<&Seal>,
    parts: &mut Parts<'_, '_>,
    output: &mut Vec<u8>,
) -> Result<bool, Refusal> {
    let Item::Reasoning { summary, content, sealed } = *item else { return Ok(false) };
    if let Some(text) = sealed.and_then(|sealed| opened(sealed, seal?, parts.body)) {
        output.extend_from_slice(&text);
        return Ok(true);
    }
    for (list, separator) in [(content, &b""[..]), (summary, BLANK_LINE)] {
        let start = output.len();
        if let Some(list) = list {
            parts.text(list, separator, false, output)?;
        }
        if output.len() > start {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The text that a client carried for us, still escaped.
fn opened(sealed: Value, seal: &Seal, body: &[u8]) -> Option<Vec<u8>> {
    let mut text = seal.open(&sealed.as_text(body).map(Text::key)?)?;
    if text.first() != Some(&SEALED_TEXT) {
        return None;
    }
    text.remove(0);
    (!text.is_empty() && is_escaped_text(&text)).then_some(text)
}
