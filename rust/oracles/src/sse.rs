//! The parser of event streams against the specification's algorithm, written down line by line.

use llmgw_core::sse::{Item, Parser, SseLimits};

use crate::{Choices, arrivals};

#[derive(Debug, PartialEq)]
enum Found {
    Event {
        data: Vec<u8>,
        event_type: Vec<u8>,
        last_event_id: Vec<u8>,
    },
    /// A field that the specification ignores.
    Unknown {
        name: Vec<u8>,
        value: Vec<u8>,
    },
    /// What the end of the stream left without its blank line.
    Left(Box<Found>),
    Error(String),
}

/// Any bytes: the items are those of the specification, however the stream is cut; caps end it at the same place.
pub fn sse(input: &[u8]) {
    let whole = parse([input], SseLimits::default());
    assert_eq!(whole, reference(input));
    let mut choices = Choices::of(input);
    let small = SseLimits { max_line_bytes: choices.below(40), max_event_bytes: choices.below(40) };
    let capped = parse([input], small);
    for pieces in arrivals(input) {
        assert_eq!(parse(pieces.iter().copied(), SseLimits::default()), whole, "cut into {pieces:?}");
        assert_eq!(parse(pieces, small).0, capped.0, "with {small:?}");
    }
}

/// What is found, and the reconnection time.
fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: SseLimits) -> (Vec<Found>, Option<u64>) {
    let mut parser = Parser::new(limits);
    let mut all = Vec::new();
    for piece in pieces {
        let mut reader = parser.read(piece);
        loop {
            match reader.next() {
                Ok(Some(item)) => all.push(found(&item)),
                Ok(None) => break,
                Err(error) => {
                    all.push(Found::Error(error.to_string()));
                    return (all, parser.retry_ms());
                }
            }
        }
    }
    // An unknown field may be left, and then the event in which it stands.
    for _ in 0..2 {
        match parser.finish() {
            Ok(Some(item)) => all.push(Found::Left(Box::new(found(&item)))),
            Ok(None) => {}
            Err(error) => {
                all.push(Found::Error(error.to_string()));
                break;
            }
        }
    }
    (all, parser.retry_ms())
}

fn found(item: &Item<'_>) -> Found {
    match *item {
        Item::Unknown { name, value } => Found::Unknown { name: name.to_vec(), value: value.to_vec() },
        Item::Event(event) => {
            if let Some(canonical) = event.canonical {
                assert_eq!(canonical, [b"data: ", event.data, b"\n\n"].concat());
                assert!(!event.data.contains(&b'\n') && !event.data.contains(&b'\r'));
            }
            Found::Event {
                data: event.data.to_vec(),
                event_type: event.event_type.to_vec(),
                last_event_id: event.last_event_id.to_vec(),
            }
        }
    }
}

/// The specification, with the two additions of `llmgw_core::sse`.
fn reference(input: &[u8]) -> (Vec<Found>, Option<u64>) {
    let mut rest = input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input);
    let (mut all, mut retry_ms) = (Vec::new(), None);
    let (mut data, mut event_type, mut last_event_id) = (None::<Vec<u8>>, Vec::new(), Vec::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let line = &rest[..end.unwrap_or(rest.len())];
        rest = match end {
            None => &[],
            Some(end) if rest[end..].starts_with(b"\r\n") => &rest[end + 2..],
            Some(end) => &rest[end + 1..],
        };
        if line.is_empty() {
            let event_type = std::mem::take(&mut event_type);
            if let Some(data) = data.take() {
                all.push(Found::Event { data, event_type, last_event_id: last_event_id.clone() });
            }
            continue;
        }
        let colon = line.iter().position(|&byte| byte == b':').unwrap_or(line.len());
        let name = &line[..colon];
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"" => {}
            b"data" => match &mut data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => data = Some(value.to_vec()),
            },
            b"event" => event_type = value.to_vec(),
            b"id" if value.contains(&0) => {}
            b"id" => last_event_id = value.to_vec(),
            b"retry" => {
                let digits =
                    std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                retry_ms = digits.and_then(|digits| digits.parse().ok()).or(retry_ms);
            }
            _ => {
                let unknown = Found::Unknown { name: name.to_vec(), value: value.to_vec() };
                all.push(if end.is_none() { Found::Left(Box::new(unknown)) } else { unknown });
            }
        }
    }
    if let Some(data) = data {
        all.push(Found::Left(Box::new(Found::Event { data, event_type, last_event_id })));
    }
    (all, retry_ms)
}
