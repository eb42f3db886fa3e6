//! What the mock says and the client expects, in one place.
//!
//! Each request carries a number of its own ([`NONCE`] and ten digits) and every piece of the answer repeats it,
//! so neither a cached answer nor a chunk of another stream can pass for the right one. The pieces have fixed
//! widths: the mock only overwrites digits in a frame that is made once.

use std::time::{SystemTime, UNIX_EPOCH};

/// Comes before the digits in the first message of a request, and in every content of the answer.
pub(crate) const NONCE: &[u8] = b"nonce-";
pub(crate) const NONCE_DIGITS: usize = 10;
/// The end of the one content of a plain answer.
pub(crate) const ANSWERED: &str = "answered";

const NUMBER_DIGITS: usize = 6;
const STAMP_DIGITS: usize = 16;
const CONTENT_BYTES: usize = NONCE.len() + NONCE_DIGITS + NUMBER_DIGITS + STAMP_DIGITS + 3;

/// One frame of a stream in the shape that DashScope gives it, with the digits still to be filled in.
pub(crate) struct Frame {
    bytes: Vec<u8>,
    content: usize,
}

impl Frame {
    /// The frame of the chunks; the first also carries the role.
    pub(crate) fn new(first: bool) -> Self {
        let role = if first { r#","role":"assistant""# } else { "" };
        let blank = "-".repeat(CONTENT_BYTES);
        let delta = format!(r#"{{"content":"{blank}","reasoning_content":null{role}}}"#);
        let bytes = http_chunk(&chunk(&choice(&delta, "null"), "null"));
        let content = memchr::memmem::find(&bytes, blank.as_bytes()).unwrap_or_default();
        Self { bytes, content }
    }

    /// The frame of one chunk. `stamp_us`: when it was due, see [`now_us`].
    pub(crate) fn fill(&mut self, nonce: u64, number: u64, stamp_us: u64) -> &[u8] {
        let (nonce, number, stamp) = (digits(nonce), digits(number), digits(stamp_us));
        let parts: [&[u8]; 7] = [
            NONCE,
            &nonce[STAMP_DIGITS - NONCE_DIGITS..],
            b" ",
            &number[STAMP_DIGITS - NUMBER_DIGITS..],
            b" ",
            &stamp,
            b" ",
        ];
        let mut at = self.content;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        &self.bytes
    }
}

/// The last frames of a stream: finish reason, usage, `[DONE]`, and the end of the HTTP body.
pub(crate) fn stream_end(chunks: u64, prompt_tokens: usize) -> Vec<u8> {
    let mut bytes = http_chunk(&chunk(&choice(r#"{"content":""}"#, r#""stop""#), "null"));
    bytes.extend(http_chunk(&chunk("", &usage(chunks, prompt_tokens))));
    bytes.extend(http_chunk("[DONE]"));
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// The body of a plain answer. `prompt_tokens` is where the size of the request comes back.
pub(crate) fn plain_answer(nonce: u64, prompt_tokens: usize) -> String {
    let content = format!("{}{nonce:010} {ANSWERED}", String::from_utf8_lossy(NONCE));
    let message = format!(r#"{{"role":"assistant","content":"{content}"}}"#);
    let choice = format!(r#"{{"message":{message},"finish_reason":"stop","index":0,"logprobs":null}}"#);
    let usage = usage(12, prompt_tokens);
    format!(
        r#"{{"choices":[{choice}],"object":"chat.completion","usage":{usage},"created":1770764942,"system_fingerprint":null,"model":"qwen3-max","id":"chatcmpl-3792851e-8f1b-9182-a1dc-b84603c81344"}}"#
    )
}

/// Finds the number of a request; None where there is none.
pub(crate) fn find_nonce(body: &[u8]) -> Option<u64> {
    let start = memchr::memmem::find(body, NONCE)? + NONCE.len();
    std::str::from_utf8(body.get(start..start + NONCE_DIGITS)?).ok()?.parse().ok()
}

/// Overwrites the number of a request; false where there is no place for it.
pub(crate) fn set_nonce(body: &mut [u8], nonce: u64) -> bool {
    let Some(at) = memchr::memmem::find(body, NONCE) else { return false };
    let start = at + NONCE.len();
    let Some(place) = body.get_mut(start..start + NONCE_DIGITS) else { return false };
    place.copy_from_slice(&digits(nonce)[STAMP_DIGITS - NONCE_DIGITS..]);
    true
}

/// Microseconds of the clock that both processes share.
pub(crate) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn digits(mut number: u64) -> [u8; STAMP_DIGITS] {
    let mut digits = [b'0'; STAMP_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
    digits
}

fn choice(delta: &str, finish_reason: &str) -> String {
    format!(r#"{{"delta":{delta},"finish_reason":{finish_reason},"index":0,"logprobs":null}}"#)
}

fn chunk(choices: &str, usage: &str) -> String {
    format!(
        r#"{{"choices":[{choices}],"object":"chat.completion.chunk","usage":{usage},"created":1770764942,"system_fingerprint":null,"model":"qwen3-max","id":"chatcmpl-3792851e-8f1b-9182-a1dc-b84603c81344"}}"#
    )
}

fn usage(completion_tokens: u64, prompt_tokens: usize) -> String {
    let total = prompt_tokens as u64 + completion_tokens;
    format!(
        r#"{{"prompt_tokens":{prompt_tokens},"completion_tokens":{completion_tokens},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}}}}"#
    )
}

fn http_chunk(data: &str) -> Vec<u8> {
    let frame = format!("data: {data}\n\n");
    format!("{:x}\r\n{frame}\r\n", frame.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_set_is_a_number_found() {
        let mut body = br#"{"messages":[{"content":"nonce-0000000000 hello"}]}"#.to_vec();
        assert!(set_nonce(&mut body, 9_876_543_210));
        assert_eq!(find_nonce(&body), Some(9_876_543_210));
        assert!(!set_nonce(&mut b"{}".to_vec(), 1));
        assert_eq!(find_nonce(b"nonce-12"), None);
    }

    #[test]
    fn frames_are_filled_in_place() {
        let mut frame = Frame::new(true);
        let text = String::from_utf8(frame.fill(7, 42, 1_763_890_000_123_456).to_vec()).unwrap();
        assert!(text.contains(r#""content":"nonce-0000000007 000042 1763890000123456 ""#), "{text}");
        assert!(text.contains(r#""role":"assistant""#));
    }
}
