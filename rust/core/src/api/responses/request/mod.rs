//! A Responses body in chat's words.
//!
//! One walk over the body finds the members ([`top`]) and the items of `input` ([`items`]); then the chat body is written,
//! texts moved as they are escaped.
//!
//! * [`tools`] become functions, and `tool_choice` names those ([`choice`]).
//! * Items become messages ([`messages`]): reasoning, texts and calls that follow each other are one assistant message, and the
//!   outputs of its calls come right behind it, wherever they stand in `input`.
//! * A call without an output gets one that says so. An output without a call is left out.
//! * What has no counterpart is left out and named ([`Dropped`]); what says nothing to a model (ids, `client_metadata`) is left
//!   out without a word.
//!
//! Every top-level field that is not one of this API's passes on.

mod calls;
mod choice;
mod content;
mod echo;
mod fields;
mod going_on;
mod items;
mod matching;
mod messages;
mod reasoning;
mod tools;
mod top;

use std::sync::Arc;

use crate::api::dropped::Dropped;
use crate::api::reply::{Converted, Reply};
use crate::api::words;
use crate::json::Value;
use crate::json::path::path_at;
use crate::request::error::{RequestError, RequestErrorCode};
use crate::request::refusal::Refusal;
use crate::request::user::user_name;
use crate::seal::Seal;

use self::going_on::items_of;
use self::messages::Messages;
use self::tools::Tools;
use self::top::{Own, Top};
use super::ResponsesReply;

pub use self::going_on::{Head, Keeping, convert_keeping, head};

/// So much a chat body may be longer than the body that it is made of, before its memory has to move.
const SPARE_BYTES: usize = 4096;

/// The body as a chat-completions body. `seal` makes and opens the reasoning that the client carries.
///
/// # Errors
/// Where the body breaks a rule of this API; the field's path is the one in `body`.
pub fn convert(body: &[u8], seal: Option<&Seal>) -> Result<Converted, RequestError> {
    convert_keeping(body, seal, Keeping::Nothing)
}

fn converted(body: &[u8], seal: Option<&Seal>, keeping: Keeping<'_>) -> Result<Converted, Refusal> {
    let mut chat = Vec::with_capacity(body.len() + body.len() / 8 + SPARE_BYTES);
    chat.push(b'{');
    let mut dropped = Dropped::default();
    let mut top = Top::read(body, &mut chat, &mut dropped)?;
    top.check(keeping)?;
    let keeps = keeping.keeps() && top.wants_to_be_kept()?;
    fields::write(&top, &mut chat, &mut dropped)?;

    let allowed = choice::allowed(&top)?;
    let mut tools = Tools::new(allowed);
    tools.write(&top, &mut chat, &mut dropped)?;
    if tools.is_empty() {
        choice::drop_without_tools(&top, &mut dropped);
    } else {
        choice::write(&top, &tools, &mut chat, &mut dropped)?;
        if let Some(parallel) = top.boolean(Own::ParallelToolCalls)? {
            words::member("parallel_tool_calls", parallel.span.of(body), &mut chat);
        }
    }

    matching::match_outputs(&mut top.items, body);
    words::name("messages", &mut chat);
    chat.push(b'[');
    let mut messages = Messages::new(body, &tools, seal, &mut chat, &mut dropped);
    messages.instructions(top.text(Own::Instructions)?);
    if let Some(text) = top.input_text {
        messages.user_text(text);
    }
    messages.items(&top.items)?;
    let media = messages.into_media();
    if chat.last() == Some(&b'[') {
        return Err(nothing_to_say(top.own(Own::Input), body));
    }
    chat.extend_from_slice(b"]}");

    let reply = ResponsesReply {
        model: std::mem::take(&mut top.chat.model),
        shows_reasoning: fields::shows_reasoning(&top)?,
        seals_reasoning: fields::seals_reasoning(&top, &mut dropped)?,
        seal: seal.cloned(),
        tools: tools.into_names(),
        echo: echo::echo(&top, keeps),
    };
    let place = |(modality, offset)| Some((modality, path_at(body, offset)?));
    Ok(Converted {
        chat,
        reply: Reply::Responses(Arc::new(reply)),
        dropped: dropped.into_kinds(),
        media: media.into_iter().filter_map(place).collect(),
        user: top.own(Own::SafetyIdentifier).and_then(|name| user_name(name.as_text(body)?)),
        kept_items: top.own(Own::Input).filter(|_| keeps).map(|input| items_of(body, input)),
    })
}

/// There is no message: chat bodies have one at least.
fn nothing_to_say(input: Option<Value>, body: &[u8]) -> Refusal {
    let offset = input.map_or(body.len() - 1, |input| input.span.start);
    Refusal::wrong_type("must say something to the model", offset)
}

/// A value that breaks a rule.
const fn refuse(code: RequestErrorCode, rule: &'static str, offset: usize) -> Refusal {
    Refusal::Place { code, member: None, rule, offset }
}

#[cfg(test)]
mod tests;
