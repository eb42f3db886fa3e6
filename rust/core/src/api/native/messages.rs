//! What Anthropic's events and messages say, read on the side.

use crate::answer::summary::Summary;
use crate::json::text::write_escaped;
use crate::json::{JsonError, Kind, Text, Value};

use super::events::{Account, Step, document, items, members, text};

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// The block of the first tool call.
    first_call: Option<u64>,
}

impl Reader {
    /// One event, by its type. None: it is an error.
    pub(super) fn event(
        &mut self,
        kind: &str,
        data: &[u8],
        event: Value,
        account: &mut Account,
    ) -> Result<Option<Step>, JsonError> {
        match kind {
            "ping" => return Ok(Some(Step::Opening)),
            "message_start" => {
                let [message] = members(data, event, ["message"])?;
                if let Some(message) = message {
                    let [usage, id, model] = members(data, message, ["usage", "id", "model"])?;
                    account.usage(data, usage);
                    account.summary.named(text(data, id), text(data, model));
                }
                return Ok(Some(Step::Opening));
            }
            "content_block_start" => {
                let [index, block] = members(data, event, ["index", "content_block"])?;
                if let Some(block) = block
                    && self::block(data, block, account)?
                {
                    self.first_call = Some(index.and_then(|index| index.as_u64(data)).unwrap_or_default());
                }
            }
            "content_block_delta" => {
                let [index, delta] = members(data, event, ["index", "delta"])?;
                if let Some(delta) = delta {
                    self.delta(data, index.and_then(|index| index.as_u64(data)), delta, account)?;
                }
            }
            "message_delta" => {
                let [delta, usage] = members(data, event, ["delta", "usage"])?;
                if let Some(delta) = delta {
                    let [reason] = members(data, delta, ["stop_reason"])?;
                    if let Some(reason) = text(data, reason) {
                        account.finish(&reason.decode());
                    }
                }
                account.usage(data, usage);
            }
            "message_stop" => return Ok(Some(Step::Last)),
            "error" => return Ok(None),
            // Of a newer version of the API.
            _ => {}
        }
        Ok(Some(Step::Good))
    }

    fn delta(
        &self,
        data: &[u8],
        index: Option<u64>,
        delta: Value,
        account: &mut Account,
    ) -> Result<(), JsonError> {
        let [thinking, said, arguments] = members(data, delta, ["thinking", "text", "partial_json"])?;
        for text in [thinking, said, arguments] {
            account.said(self::text(data, text));
        }
        if let Some(thinking) = text(data, thinking) {
            account.reason(thinking.raw());
        }
        if let Some(said) = text(data, said) {
            account.text(said.raw());
        }
        if let Some(arguments) = text(data, arguments)
            && index == self.first_call
        {
            account.kept.arguments(arguments.raw());
        }
        Ok(())
    }
}

/// What the types of calls end with: `tool_use`, `server_tool_use`, `mcp_tool_use`.
const CALL: &str = "tool_use";

/// What a block says as it begins, or as a whole. Whether it is the first call.
fn block(data: &[u8], block: Value, account: &mut Account) -> Result<bool, JsonError> {
    let names = ["type", "thinking", "text", "id", "name"];
    let [kind, thinking, said, id, name] = members(data, block, names)?;
    let kind = text(data, kind).map(Text::decode).unwrap_or_default();
    for value in [thinking, said, name.filter(|_| kind.ends_with(CALL))] {
        account.said(text(data, value));
    }
    if let Some(thinking) = text(data, thinking) {
        account.reason(thinking.raw());
    }
    match &*kind {
        "text" => {
            if let Some(said) = text(data, said) {
                account.text(said.raw());
            }
            Ok(false)
        }
        "tool_use" => Ok(account.kept.call(text(data, id), text(data, name))),
        _ => Ok(false),
    }
}

/// The account of a whole message; none where it is none.
pub(super) fn whole(body: &[u8], keeps: bool) -> Option<Summary> {
    let message = document(body).ok()?;
    let names = ["type", "content", "stop_reason", "usage", "id", "model"];
    let [kind, content, reason, usage, id, model] = members(body, message, names).ok()?;
    let mut account = Account::new(keeps);
    if !text(body, kind)?.is("message") || content?.kind != Kind::Array {
        return None;
    }
    let read = items(body, content, |each| {
        let is_first_call = block(body, each, &mut account)?;
        if let [Some(input)] = members(body, each, ["input"])?
            && input.kind == Kind::Object
        {
            account.summary.output_bytes += input.span.len() as u64;
        }
        if is_first_call && let [Some(input)] = members(body, each, ["input"])? {
            // It is an object, where chat has it as a text.
            let mut arguments = Vec::new();
            write_escaped(input.span.of(body), &mut arguments);
            account.kept.arguments(&arguments);
        }
        Ok(())
    });
    read.ok()?;
    account.summary.named(text(body, id), text(body, model));
    account.usage(body, usage);
    if let Some(reason) = text(body, reason) {
        account.finish(&reason.decode());
    }
    account.summary.frames = 1;
    account.complete();
    Some(account.summary)
}
