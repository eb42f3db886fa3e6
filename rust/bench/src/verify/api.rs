//! What an answer says, whichever API it came through.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Fault, excerpt};

/// Whose words the answers are in.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Api {
    #[default]
    Chat,
    Messages,
    Responses,
}

/// What one event of a stream says, or a whole answer.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said<'a> {
    pub(super) content: Option<Cow<'a, str>>,
    pub(super) finished: bool,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) done: bool,
}

impl Api {
    /// Whether a stream has `event:` lines.
    pub(super) fn names_events(self) -> bool {
        self != Self::Chat
    }

    /// One event's data.
    pub(super) fn event(self, data: &[u8]) -> Result<Said<'_>, Fault> {
        match self {
            Self::Chat if data == b"[DONE]" => Ok(Said { done: true, ..Said::default() }),
            Self::Chat => chat(data),
            Self::Messages => parse::<MessagesEvent>(data)?.said(data),
            Self::Responses => parse::<ResponsesEvent>(data)?.said(data),
        }
    }

    /// A whole answer.
    pub(super) fn whole(self, body: &[u8]) -> Result<Said<'_>, Fault> {
        match self {
            Self::Chat => chat(body),
            Self::Messages => Ok(parse::<Message>(body)?.said()),
            Self::Responses => Ok(parse::<Response>(body)?.said()),
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(|error| Fault::Json(format!("{error}: {}", excerpt(json))))
}

/// A whole chat completion or one chunk: the members that matter.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "delta")]
    message: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    #[serde(alias = "input_tokens")]
    prompt_tokens: u64,
}

fn chat(json: &[u8]) -> Result<Said<'_>, Fault> {
    let completion: Completion<'_> = parse(json)?;
    if completion.error.is_some() {
        return Err(Fault::ErrorFrame(excerpt(json)));
    }
    let mut said = Said { prompt_tokens: prompt_tokens(completion.usage), ..Said::default() };
    if let Some(choice) = completion.choices.into_iter().next() {
        said.finished = choice.finish_reason.is_some_and(|reason| !reason.is_empty());
        said.content = choice.message.and_then(|message| message.content);
    }
    Ok(said)
}

fn prompt_tokens(usage: Option<Usage>) -> Option<u64> {
    usage.map(|usage| usage.prompt_tokens)
}

/// Anthropic's.
#[derive(Deserialize)]
struct MessagesEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    delta: Option<MessagesDelta<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct MessagesDelta<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

impl<'a> MessagesEvent<'a> {
    fn said(self, data: &[u8]) -> Result<Said<'a>, Fault> {
        if self.kind == "error" {
            return Err(Fault::ErrorFrame(excerpt(data)));
        }
        let (content, stop) = self.delta.map_or((None, None), |delta| (delta.text, delta.stop_reason));
        Ok(Said {
            content,
            finished: stop.is_some(),
            prompt_tokens: prompt_tokens(self.usage),
            done: self.kind == "message_stop",
        })
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<MessagesDelta<'a>>,
    #[serde(borrow)]
    stop_reason: Option<Cow<'a, str>>,
    usage: Option<Usage>,
}

impl<'a> Message<'a> {
    fn said(self) -> Said<'a> {
        Said {
            content: self.content.into_iter().find_map(|block| block.text),
            finished: self.stop_reason.is_some(),
            prompt_tokens: prompt_tokens(self.usage),
            done: true,
        }
    }
}

/// OpenAI's Responses.
#[derive(Deserialize)]
struct ResponsesEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    /// A string only in the deltas of text and arguments.
    #[serde(borrow)]
    delta: Option<Cow<'a, str>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
}

impl<'a> ResponsesEvent<'a> {
    fn said(self, data: &[u8]) -> Result<Said<'a>, Fault> {
        match &*self.kind {
            "response.failed" | "error" => Err(Fault::ErrorFrame(excerpt(data))),
            "response.output_text.delta" => Ok(Said { content: self.delta, ..Said::default() }),
            "response.completed" => {
                let said = self.response.map_or_else(Said::default, Response::said);
                Ok(Said { content: None, done: true, ..said })
            }
            _ => Ok(Said::default()),
        }
    }
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Vec<ResponseItem<'a>>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct ResponseItem<'a> {
    #[serde(borrow, default)]
    content: Vec<MessagesDelta<'a>>,
}

impl<'a> Response<'a> {
    fn said(self) -> Said<'a> {
        Said {
            content: self.output.into_iter().flat_map(|item| item.content).find_map(|part| part.text),
            finished: self.status == "completed",
            prompt_tokens: prompt_tokens(self.usage),
            done: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(content: &str) -> Said<'_> {
        Said { content: Some(content.into()), ..Said::default() }
    }

    #[test]
    fn events() {
        let rows = [
            (Api::Chat, r#"{"choices":[{"delta":{"content":"a"}}]}"#, said("a")),
            (Api::Chat, "[DONE]", Said { done: true, ..Said::default() }),
            (
                Api::Messages,
                r#"{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}"#,
                said("a"),
            ),
            (
                Api::Messages,
                r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":9}}"#,
                Said { finished: true, prompt_tokens: Some(9), ..Said::default() },
            ),
            (Api::Messages, r#"{"type":"message_stop"}"#, Said { done: true, ..Said::default() }),
            (Api::Responses, r#"{"type":"response.output_text.delta","delta":"a"}"#, said("a")),
            (
                Api::Responses,
                r#"{"type":"response.completed","response":{"status":"completed","output":[{"content":[{"text":"a"}]}],"usage":{"input_tokens":9}}}"#,
                Said { finished: true, prompt_tokens: Some(9), done: true, content: None },
            ),
        ];
        for (api, event, expected) in rows {
            assert_eq!(api.event(event.as_bytes()), Ok(expected), "{event}");
        }
        for (api, event) in [
            (Api::Chat, r#"{"error":{}}"#),
            (Api::Messages, r#"{"type":"error","error":{}}"#),
            (Api::Responses, r#"{"type":"response.failed","response":{"status":"failed"}}"#),
        ] {
            assert_eq!(api.event(event.as_bytes()), Err(Fault::ErrorFrame(event.to_owned())));
        }
    }

    #[test]
    fn whole_answers() {
        let expected =
            || Said { content: Some("a".into()), finished: true, prompt_tokens: Some(9), done: true };
        for (api, body) in [
            (
                Api::Messages,
                r#"{"content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":9}}"#,
            ),
            (
                Api::Responses,
                r#"{"status":"completed","output":[{"type":"message","content":[{"text":"a"}]}],"usage":{"input_tokens":9}}"#,
            ),
        ] {
            assert_eq!(api.whole(body.as_bytes()), Ok(expected()), "{body}");
        }
    }
}
