//! Is the answer right? What counts is what a client of the API would see, so frames are parsed as JSON: a gateway
//! may write them anew, but not lose, add, swap or change one.

mod api;

use std::fmt;

use memchr::memchr;

use crate::talk;

pub(crate) use self::api::Api;

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
            Self::AfterDone => formatter.write_str("something follows the end"),
            Self::NoDone => formatter.write_str("the stream broke off"),
            Self::NoFinishReason => formatter.write_str("no finish_reason"),
            Self::Usage { expected_at_least, got } => {
                write!(formatter, "usage.prompt_tokens {got:?}: the request had {expected_at_least} bytes")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// A whole answer that was not streamed.
///
/// The mock says the size of the request in `usage.prompt_tokens`; it must have been `prompt_bytes` at least.
pub(crate) fn plain(api: Api, body: &[u8], nonce: u64, prompt_bytes: u64) -> Result<(), Fault> {
    let answer = api.whole(body)?;
    let got = answer.content.unwrap_or_default();
    let expected = format!("{}{nonce:010} {}", String::from_utf8_lossy(talk::NONCE), talk::ANSWERED);
    if got != expected {
        return Err(Fault::Content { got: got.into_owned(), expected });
    }
    if !answer.finished {
        return Err(Fault::NoFinishReason);
    }
    check_usage(answer.prompt_tokens, prompt_bytes)
}

fn check_usage(got: Option<u64>, expected_at_least: u64) -> Result<(), Fault> {
    if got.is_some_and(|got| got >= expected_at_least) {
        return Ok(());
    }
    Err(Fault::Usage { expected_at_least, got })
}

/// One streamed answer, checked as it comes.
pub(crate) struct Stream {
    api: Api,
    nonce: u64,
    prompt_bytes: u64,
    next: u64,
    finished: bool,
    prompt_tokens: Option<u64>,
    done: bool,
}

impl Stream {
    pub(crate) fn new(api: Api, nonce: u64, prompt_bytes: u64) -> Self {
        Self { api, nonce, prompt_bytes, next: 0, finished: false, prompt_tokens: None, done: false }
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
        check_usage(self.prompt_tokens, self.prompt_bytes)
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<u64>, Fault> {
        if line.is_empty() || line.starts_with(b":") {
            return Ok(None);
        }
        if self.done {
            return Err(Fault::AfterDone);
        }
        if self.api.names_events() && line.starts_with(b"event:") {
            return Ok(None);
        }
        let Some(data) = line.strip_prefix(b"data:") else { return Err(Fault::Line(excerpt(line))) };
        let said = self.api.event(data.trim_ascii_start())?;
        self.prompt_tokens = said.prompt_tokens.or(self.prompt_tokens);
        self.finished |= said.finished;
        self.done |= said.done;
        match said.content {
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
        let mut stream = Stream::new(Api::Chat, 7, 9);
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
            let mut stream = Stream::new(Api::Chat, 7, 9);
            let taken = stream.feed(&text.as_bytes()[..cut], |_| ()).unwrap();
            stream.feed(&text.as_bytes()[taken..], |stamp| assert_eq!(stamp, 5)).unwrap();
            assert_eq!(stream.chunks(), 1, "cut at {cut}");
        }
    }

    #[test]
    fn plain_answers_must_be_to_this_request() {
        let body = talk::plain_answer(7, 100);
        assert_eq!(plain(Api::Chat, body.as_bytes(), 7, 100), Ok(()));
        assert!(matches!(plain(Api::Chat, body.as_bytes(), 8, 100), Err(Fault::Content { .. })));
        assert!(matches!(plain(Api::Chat, body.as_bytes(), 7, 101), Err(Fault::Usage { .. })));
        assert!(matches!(plain(Api::Chat, b"{\"error\": {}}", 7, 0), Err(Fault::ErrorFrame(_))));
        assert!(matches!(plain(Api::Chat, b"{\"choices\": []}", 7, 0), Err(Fault::Content { .. })));
    }
}
