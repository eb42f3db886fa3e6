//! What OpenAI's response events and responses say, read on the side.

use crate::answer::summary::Summary;
use crate::json::{JsonError, Kind, Text, Value};
use crate::refusal::Refusal;

use super::events::{Account, Step, document, items, members, text};

/// Reads a stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Items have been told one by one, so the last event only repeats them.
    has_items: bool,
    /// What the response is called, for an event of ours: id and model, still escaped.
    pub(super) named: Option<(Vec<u8>, Vec<u8>)>,
    /// The last `sequence_number` that went out.
    pub(super) number: Option<u64>,
    /// How much text has come in deltas, the names of calls among it.
    delta_bytes: u64,
    /// How much has come in items as a whole.
    item_bytes: u64,
}

/// A response's id or model that is longer is not repeated in an event of ours.
const MAX_REPEATED_NAME_BYTES: usize = 256;

impl Reader {
    /// One event, by its type. None: it is an error.
    pub(super) fn event(
        &mut self,
        kind: &str,
        data: &[u8],
        event: Value,
        account: &mut Account,
    ) -> Result<Option<Step>, JsonError> {
        let names = ["sequence_number", "response", "item", "delta"];
        let [number, response, item, delta] = members(data, event, names)?;
        // An error of the upstream's is told by an event of ours, with its number.
        if !is_failure(kind) {
            self.number = number.and_then(|number| number.as_u64(data)).or(self.number);
        }
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(response) = response {
                    self.name(data, response, account)?;
                }
                return Ok(Some(Step::Opening));
            }
            "response.output_item.added" => {
                let [name] = item.map_or(Ok([None]), |item| members(data, item, ["name"]))?;
                self.delta_bytes += text(data, name).map_or(0, Text::decoded_bytes) as u64;
            }
            kind if is_text_delta(kind) => {
                let said = text(data, delta);
                self.delta_bytes += said.map_or(0, Text::decoded_bytes) as u64;
                account.summary.reasoning_seen |= said.is_some()
                    && matches!(
                        kind,
                        "response.reasoning_text.delta" | "response.reasoning_summary_text.delta"
                    );
            }
            "response.output_item.done" => {
                if let Some(item) = item {
                    self.has_items = true;
                    self.item_bytes += self::item(data, item, account)?;
                }
            }
            "response.completed" | "response.incomplete" => {
                if let Some(response) = response {
                    let [output] = members(data, response, ["output"])?;
                    let output = output.filter(|_| !self.has_items);
                    items(data, output, |item| {
                        self.item_bytes += self::item(data, item, account)?;
                        Ok(())
                    })?;
                    end(data, response, account)?;
                }
                self.count(account);
                return Ok(Some(Step::Last));
            }
            kind if is_failure(kind) => {
                if let Some(response) = response {
                    let [usage] = members(data, response, ["usage"])?;
                    account.usage(data, usage);
                }
                return Ok(None);
            }
            _ => {}
        }
        self.count(account);
        Ok(Some(Step::Good))
    }

    /// An item repeats what its deltas have said; there are upstreams without deltas.
    fn count(&self, account: &mut Account) {
        account.summary.output_bytes = self.delta_bytes.max(self.item_bytes);
    }

    fn name(&mut self, data: &[u8], response: Value, account: &mut Account) -> Result<(), JsonError> {
        let [id, model] = members(data, response, ["id", "model"])?;
        account.summary.named(text(data, id), text(data, model));
        let name = |value| {
            let raw = text(data, value).map(Text::raw).unwrap_or_default();
            if raw.len() <= MAX_REPEATED_NAME_BYTES { raw.to_vec() } else { Vec::new() }
        };
        if self.named.is_none() {
            self.named = Some((name(id), name(model)));
        }
        Ok(())
    }
}

/// A piece of any text: content, reasoning, a refusal, arguments, code.
fn is_text_delta(kind: &str) -> bool {
    kind.strip_suffix("delta").is_some_and(|whose| whose.ends_with('.') && !whose.ends_with("audio."))
}

fn is_failure(kind: &str) -> bool {
    matches!(kind, "response.failed" | "response.cancelled" | "error")
}

/// What an item says as a whole; how much text that is.
fn item(data: &[u8], item: Value, account: &mut Account) -> Result<u64, JsonError> {
    let names = ["type", "content", "summary", "call_id", "name", "arguments", "input", "code"];
    let [kind, content, summary, id, name, arguments, raw_input, code] = members(data, item, names)?;
    let kind = text(data, kind).map(Text::decode).unwrap_or_default();
    let mut bytes = 0;
    for said in [name, arguments, raw_input, code] {
        bytes += text(data, said).map_or(0, Text::decoded_bytes);
    }
    match &*kind {
        "reasoning" => {
            let mut thought = false;
            texts(data, content, |text| {
                thought = true;
                bytes += text.decoded_bytes();
                account.reason(text.raw());
            })?;
            texts(data, summary.filter(|_| !thought), |text| {
                bytes += text.decoded_bytes();
                account.reason(text.raw());
            })?;
        }
        "message" => {
            texts(data, content, |text| {
                bytes += text.decoded_bytes();
                account.text(text.raw());
            })?;
            items(data, content, |part| {
                let [refusal] = members(data, part, ["refusal"])?;
                bytes += text(data, refusal).map_or(0, Text::decoded_bytes);
                Ok(())
            })?;
        }
        "function_call" | "custom_tool_call" | "local_shell_call" => {
            if account.kept.call(text(data, id), text(data, name))
                && let Some(arguments) = text(data, arguments).or_else(|| text(data, raw_input))
            {
                account.kept.arguments(arguments.raw());
            }
        }
        _ => {}
    }
    Ok(bytes as u64)
}

/// The texts of parts, those that say something.
fn texts(data: &[u8], parts: Option<Value>, mut take: impl FnMut(Text<'_>)) -> Result<(), JsonError> {
    items(data, parts, |part| {
        let [said] = members(data, part, ["text"])?;
        if let Some(text) = text(data, said) {
            take(text);
        }
        Ok(())
    })
}

/// What a response says at its end.
fn end(data: &[u8], response: Value, account: &mut Account) -> Result<(), JsonError> {
    let [status, details, usage] = members(data, response, ["status", "incomplete_details", "usage"])?;
    account.usage(data, usage);
    if text(data, status).is_some_and(|status| status.is("incomplete")) {
        let [reason] = details.map_or(Ok([None]), |details| members(data, details, ["reason"]))?;
        let reason = text(data, reason).map(Text::decode);
        account.finish(reason.as_deref().unwrap_or("incomplete"));
    }
    Ok(())
}

/// What a whole body is.
pub(super) enum Whole {
    /// A response that came to its end.
    Answer(Summary),
    /// One that failed.
    Failed(Refusal),
}

/// The account of a whole response; none where it is none.
pub(super) fn whole(body: &[u8], keeps: bool) -> Option<Whole> {
    let response = document(body).ok()?;
    let names = ["object", "status", "output", "error", "id", "model"];
    let [object, status, output, error, id, model] = members(body, response, names).ok()?;
    let status = text(body, status).map(Text::decode).unwrap_or_default();
    if !text(body, object)?.is("response") {
        return None;
    }
    if let "failed" | "cancelled" = &*status {
        return Some(Whole::Failed(failure(body, error)));
    }
    if !matches!(&*status, "completed" | "incomplete") || output?.kind != Kind::Array {
        return None;
    }
    let mut account = Account::new(keeps);
    let mut bytes = 0;
    let read = items(body, output, |each| {
        bytes += item(body, each, &mut account)?;
        Ok(())
    });
    read.ok()?;
    account.summary.output_bytes = bytes;
    account.summary.named(text(body, id), text(body, model));
    end(body, response, &mut account).ok()?;
    account.summary.frames = 1;
    account.complete();
    Some(Whole::Answer(account.summary))
}

/// What a failed response says of itself.
pub(super) fn failure(data: &[u8], error: Option<Value>) -> Refusal {
    error.and_then(|error| Refusal::of_error(data, error)).unwrap_or_default()
}
