//! A conversation that goes on (`previous_response_id`): what was kept of it comes before the new input.

use crate::api::reply::Converted;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::request::error::RequestError;
use crate::request::refusal::Refusal;
use crate::seal::Seal;

use super::top::{Own, Top};
use super::{Dropped, converted};

/// What the gateway does about conversations.
#[derive(Clone, Copy, Debug, Default)]
pub enum Keeping<'a> {
    /// It keeps none.
    #[default]
    Nothing,
    /// It keeps this one, unless the client asks not to.
    New,
    /// It has kept these items of it, one behind the other with commas between, as [`Converted::kept_items`] and the items
    /// of the answer are.
    GoingOn(&'a [u8]),
}

impl Keeping<'_> {
    /// Whether conversations are kept at all.
    pub(super) const fn keeps(self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// What must be known of a body before the conversation that it goes on with can be looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The model that the client asks for.
    pub model: String,
    /// Whether the client wants an event stream.
    pub stream: bool,
    /// The answer after which the conversation goes on.
    pub previous_response_id: Option<String>,
}

/// Read a body as far as that.
///
/// # Errors
/// Where it breaks a rule of this API.
pub fn head(body: &[u8]) -> Result<Head, RequestError> {
    let read = || {
        let top = Top::read(body, &mut Vec::new(), &mut Dropped::default())?;
        top.check(Keeping::New)?;
        let id = top.text(Own::PreviousResponseId)?.and_then(|id| id.as_text(body));
        Ok(Head {
            previous_response_id: id.map(|id| id.decode().into_owned()),
            stream: top.chat.stream,
            model: top.chat.model,
        })
    };
    read().map_err(|refusal: Refusal| refusal.into_error(body))
}

/// As [`super::convert`], for a gateway that keeps conversations.
///
/// # Errors
/// As [`super::convert`]. Where the fault is in the body, its path is the one in the body.
pub fn convert_keeping(
    body: &[u8],
    seal: Option<&Seal>,
    keeping: Keeping<'_>,
) -> Result<Converted, RequestError> {
    let Keeping::GoingOn(kept) = keeping else {
        return converted(body, seal, keeping).map_err(|refusal| refusal.into_error(body));
    };
    let whole = with_items(body, kept).map_err(|error| Refusal::from(error).into_error(body))?;
    converted(&whole, seal, keeping).map_err(|refusal| {
        let error = refusal.into_error(&whole);
        match converted(body, seal, Keeping::New) {
            Err(own) => own.into_error(body),
            Ok(_) => error,
        }
    })
}

/// The body with these items before those of its `input`.
fn with_items(body: &[u8], kept: &[u8]) -> Result<Vec<u8>, JsonError> {
    let mut found: Option<Value> = None;
    Scanner::new(body).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is(Own::Input.name()) {
            found = Some(value);
        }
        Ok::<_, JsonError>(())
    })?;
    let Some(input) = found else { return Ok(body.to_vec()) };
    let new = items_of(body, input);
    let mut whole = Vec::with_capacity(body.len() + kept.len() + 64);
    whole.extend_from_slice(&body[..input.span.start]);
    whole.push(b'[');
    whole.extend_from_slice(kept);
    if !kept.is_empty() && !new.is_empty() {
        whole.push(b',');
    }
    whole.extend_from_slice(&new);
    whole.push(b']');
    whole.extend_from_slice(&body[input.span.end..]);
    Ok(whole)
}

/// The items of an `input`, with commas between them.
pub(super) fn items_of(body: &[u8], input: Value) -> Vec<u8> {
    match input.kind {
        Kind::Array => body[input.span.start + 1..input.span.end - 1].trim_ascii().to_vec(),
        Kind::String => [&br#"{"role":"user","content":"#[..], input.span.of(body), b"}"].concat(),
        _ => Vec::new(),
    }
}
