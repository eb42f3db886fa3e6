//! Is the answer right? What counts is what a client of the API would see, so frames are parsed as JSON: a gateway
//! may write them anew, but not lose, add, swap or change one.

use std::borrow::Cow;
use std::fmt;

use memchr::memchr;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::talk;

/// What is wrong with an answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    Json(String),
    ErrorFrame(String),
    Line(String),
    Content { got: String, expected: String },
    Number { got: u64, expected: u64 },
    Count { got: u64, expected: u64 },
    AfterDone,
    NoDone,
    NoFinishReason,
    Usage { expected_at_least: u64, got: Option<u64> },
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(text) => write!(formatter, "not the JSON of an answer: {text}"),
            Self::ErrorFrame(text) => write!(formatter, "an error instead of an answer: {text}"),
            Self::Line(line) => write!(formatter, "not a line of a stream of events: {line}"),
            Self::Content { got, expected } => write!(formatter, "content {got:?} instead of {expected:?}"),
            Self::Number { got, expected } => write!(formatter, "chunk {got} where {expected} is next"),
            Self::Count { got, expected } => write!(formatter, "{got} chunks instead of {expected}"),
            Self::AfterDone => formatter.write_str("something follows [DONE]"),
            Self::NoDone => formatter.write_str("the stream ended without [DONE]"),
            Self::NoFinishReason => formatter.write_str("no finish_reason"),
            Self::Usage { expected_at_least, got } => {
                write!(formatter, "usage.prompt_tokens {got:?}: the request had {expected_at_least} bytes")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// A whole answer or one frame of a stream: the members that matter.
#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "delta")]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

impl Usage {
    fn check(usage: Option<&Self>, expected_at_least: u64) -> Result<(), Fault> {
        let got = usage.map(|usage| usage.prompt_tokens);
        if got.is_some_and(|got| got >= expected_at_least) {
            return Ok(());
        }
        Err(Fault::Usage { expected_at_least, got })
    }
}

/// A whole answer that was not streamed.
///
/// The mock says the size of the request in `usage.prompt_tokens`; it must have been `prompt_bytes` at least.
pub(crate) fn plain(body: &[u8], nonce: u64, prompt_bytes: u64) -> Result<(), Fault> {
    let answer = parse(body)?;
    let choice = answer.choices.first().ok_or_else(|| Fault::Json(excerpt(body)))?;
    let got = choice.message.as_ref().and_then(|message| message.content.as_deref()).unwrap_or_default();
    let expected = format!("{}{nonce:010} {}", String::from_utf8_lossy(talk::NONCE), talk::ANSWERED);
    if got != expected {
        return Err(Fault::Content { got: got.to_owned(), expected });
    }
    if choice.finish_reason.is_none() {
        return Err(Fault::NoFinishReason);
    }
    Usage::check(answer.usage.as_ref(), prompt_bytes)
}

/// One streamed answer, checked as it comes.
pub(crate) struct Stream {
    nonce: u64,
    prompt_bytes: u64,
    next: u64,
    finished: bool,
    usage: Option<Usage>,
    done: bool,
}

impl Stream {
    pub(crate) fn new(nonce: u64, prompt_bytes: u64) -> Self {
        Self { nonce, prompt_bytes, next: 0, finished: false, usage: None, done: false }
    }

    /// Takes the whole lines at the start of `input`, says how many bytes that were, and calls `arrived` with
    /// the stamp of every chunk.
    pub(crate) fn feed(&mut self, input: &[u8], mut arrived: impl FnMut(u64)) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(end) = memchr(b'\n', &input[at..]) {
            let line = input[at..at + end].trim_ascii_end();
            at += end + 1;
            if let Some(stamp_us) = self.line(line)? {
                arrived(stamp_us);
            }
        }
        Ok(at)
    }

    /// How many chunks have come.
    pub(crate) fn chunks(&self) -> u64 {
        self.next
    }

    /// The stream has ended.
    pub(crate) fn finish(&self, chunks: u64) -> Result<(), Fault> {
        if !self.done {
            return Err(Fault::NoDone);
        }
        if self.next != chunks {
            return Err(Fault::Count { got: self.next, expected: chunks });
        }
        if !self.finished {
            return Err(Fault::NoFinishReason);
        }
        Usage::check(self.usage.as_ref(), self.prompt_bytes)
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<u64>, Fault> {
        if line.is_empty() || line.starts_with(b":") {
            return Ok(None);
        }
        if self.done {
            return Err(Fault::AfterDone);
        }
        let Some(data) = line.strip_prefix(b"data:") else { return Err(Fault::Line(excerpt(line))) };
        let data = data.trim_ascii_start();
        if data == b"[DONE]" {
            self.done = true;
            return Ok(None);
        }
        let frame = parse(data)?;
        if frame.usage.is_some() {
            self.usage = frame.usage;
        }
        let Some(choice) = frame.choices.into_iter().next() else { return Ok(None) };
        self.finished |= choice.finish_reason.is_some_and(|reason| !reason.is_empty());
        match choice.message.and_then(|message| message.content) {
            Some(content) if !content.is_empty() => self.content(&content).map(Some),
            _ => Ok(None),
        }
    }

    fn content(&mut self, content: &str) -> Result<u64, Fault> {
        let mut words = content.split_ascii_whitespace();
        let nonce = words.next().and_then(|word| talk::find_nonce(word.as_bytes()));
        let number: Option<u64> = words.next().and_then(|word| word.parse().ok());
        let stamp_us = words.next().and_then(|word| word.parse().ok());
        let (Some(number), Some(stamp_us), true, None) =
            (number, stamp_us, nonce == Some(self.nonce), words.next())
        else {
            let expected = format!("nonce-{:010} {:06} <stamp>", self.nonce, self.next);
            return Err(Fault::Content { got: content.to_owned(), expected });
        };
        if number != self.next {
            return Err(Fault::Number { got: number, expected: self.next });
        }
        self.next += 1;
        Ok(stamp_us)
    }
}

fn parse(json: &[u8]) -> Result<Answer<'_>, Fault> {
    let answer: Answer<'_> =
        serde_json::from_slice(json).map_err(|error| Fault::Json(format!("{error}: {}", excerpt(json))))?;
    if answer.error.is_some() {
        return Err(Fault::ErrorFrame(excerpt(json)));
    }
    Ok(answer)
}

/// Enough of something to recognise it.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(nonce: u64, number: u64) -> String {
        format!(r#"data: {{"choices":[{{"delta":{{"content":"nonce-{nonce:010} {number:06} 5 "}}}}]}}"#)
            + "\n\n"
    }

    const FINISH: &str = "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9}}\n\n";
    const DONE: &str = "data: [DONE]\n\n";

    fn checked(parts: &[&str]) -> Result<(), Fault> {
        let mut stream = Stream::new(7, 9);
        let text = parts.concat();
        let taken = stream.feed(text.as_bytes(), |_| ())?;
        assert_eq!(taken, text.len());
        stream.finish(2)
    }

    #[test]
    fn streams_must_be_whole_and_in_order() {
        let (first, second, third) = (&*frame(7, 0), &*frame(7, 1), &*frame(7, 2));
        let foreign = &*frame(8, 1);
        let error = "data: {\"error\":{\"message\":\"no\"}}\n\n";
        let wrong_nonce = Fault::Content {
            got: "nonce-0000000008 000001 5 ".into(),
            expected: "nonce-0000000007 000001 <stamp>".into(),
        };
        let rows: [(&str, &[&str], Result<(), Fault>); 11] = [
            ("right", &[": hello\n\n", first, second, FINISH, USAGE, DONE], Ok(())),
            ("lost", &[first, FINISH, USAGE, DONE], Err(Fault::Count { got: 1, expected: 2 })),
            (
                "one too many",
                &[first, second, third, FINISH, USAGE, DONE],
                Err(Fault::Count { got: 3, expected: 2 }),
            ),
            ("swapped", &[second, first], Err(Fault::Number { got: 1, expected: 0 })),
            ("twice", &[first, first], Err(Fault::Number { got: 0, expected: 1 })),
            ("of another stream", &[first, foreign], Err(wrong_nonce)),
            ("no [DONE]", &[first, second, FINISH, USAGE], Err(Fault::NoDone)),
            ("after [DONE]", &[first, DONE, second], Err(Fault::AfterDone)),
            ("no finish_reason", &[first, second, USAGE, DONE], Err(Fault::NoFinishReason)),
            (
                "no usage",
                &[first, second, FINISH, DONE],
                Err(Fault::Usage { expected_at_least: 9, got: None }),
            ),
            ("error", &[first, error], Err(Fault::ErrorFrame(error[6..].trim_end().into()))),
        ];
        for (name, parts, expected) in rows {
            assert_eq!(checked(parts), expected, "{name}");
        }
    }

    #[test]
    fn unfinished_lines_wait() {
        let text = frame(7, 0);
        for cut in 0..text.len() - 1 {
            let mut stream = Stream::new(7, 9);
            let taken = stream.feed(&text.as_bytes()[..cut], |_| ()).unwrap();
            stream.feed(&text.as_bytes()[taken..], |stamp| assert_eq!(stamp, 5)).unwrap();
            assert_eq!(stream.chunks(), 1, "cut at {cut}");
        }
    }

    #[test]
    fn plain_answers_must_be_to_this_request() {
        let body = talk::plain_answer(7, 100);
        assert_eq!(plain(body.as_bytes(), 7, 100), Ok(()));
        assert!(matches!(plain(body.as_bytes(), 8, 100), Err(Fault::Content { .. })));
        assert!(matches!(plain(body.as_bytes(), 7, 101), Err(Fault::Usage { .. })));
        assert!(matches!(plain(b"{\"error\": {}}", 7, 0), Err(Fault::ErrorFrame(_))));
        assert!(matches!(plain(b"{\"choices\": []}", 7, 0), Err(Fault::Json(_))));
    }
}
