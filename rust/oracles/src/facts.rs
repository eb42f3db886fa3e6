//! What limits and prices count of a request, counted once more from the values that `serde_json` reads.

use llmgw_core::request::facts::{Facts, TOKEN_BYTES};

use crate::raw::{Members, items};
use crate::request::{kind, modality};

/// Of a chat body that was taken.
pub(crate) fn chat(facts: &Facts, body: &Members) {
    let (mut text_bytes, mut images) = (0, 0);
    for message in items(body.given("messages").unwrap()).unwrap() {
        for (name, value) in &Members::of(message.get()).unwrap().0 {
            match name.as_str() {
                "content" if kind(value.get()) == '[' => {
                    for part in items(value.get()).unwrap() {
                        let (text, media) = self::part(part.get());
                        (text_bytes, images) = (text_bytes + text, images + media);
                    }
                }
                "content" | "reasoning_content" | "tool_calls" | "function_call" | "reasoning"
                | "refusal" => {
                    text_bytes += strings(value.get());
                }
                _ => {}
            }
        }
    }
    text_bytes += ["tools", "response_format"]
        .into_iter()
        .filter_map(|name| body.given(name))
        .map(str::len)
        .sum::<usize>();
    text_bytes += other_text(body);
    assert_eq!((facts.text_bytes, facts.images), (text_bytes, images));
    assert_eq!(facts.max_output_tokens, limit(body));
    assert_eq!(facts.choices(), asked(body));
    user(facts, body);
}

/// Of a text completion's.
pub(crate) fn completion(facts: &Facts, body: &Members) {
    let prompt = body.given("prompt").unwrap();
    let (text_bytes, images) = inputs(prompt);
    assert_eq!((facts.text_bytes, facts.images), (text_bytes + other_text(body), images));
    let limit = limit(body).into_iter().chain(number(body.given("max_tokens"), 0.0)).min();
    assert_eq!(facts.max_output_tokens, limit);
    let prompts =
        items(prompt).map_or(0, |items| items.iter().filter(|item| kind(item.get()) != '0').count());
    assert_eq!(facts.choices(), asked(body) * prompts.max(1) as u64);
    user(facts, body);
}

/// Of embeddings or rerank, where these fields hold what is read.
pub(crate) fn retrieval(facts: &Facts, body: &Members, fields: &[&str]) {
    let read = fields.iter().filter_map(|name| body.given(name)).map(inputs);
    let (text_bytes, images) = read.fold((other_text(body), 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!((facts.text_bytes, facts.images), (text_bytes, images));
    assert_eq!((facts.max_output_tokens, facts.choices()), (None, 1));
    user(facts, body);
}

/// The text of a content part, and whether it holds media.
fn part(part: &str) -> (usize, usize) {
    let Some(members) = Members::of(part) else { return (strings(part), 0) };
    let is_media = modality(&members).is_some();
    let counts = |name: &str| if is_media { name == "text" } else { name != "type" };
    let text = members.0.iter().filter(|(name, _)| counts(name)).map(|(_, value)| strings(value.get())).sum();
    (text, usize::from(is_media))
}

/// How long all strings inside of a value are, keys apart.
fn strings(value: &str) -> usize {
    match kind(value) {
        '"' => serde_json::from_str::<String>(value).unwrap().len(),
        '[' => items(value).unwrap().iter().map(|item| strings(item.get())).sum(),
        '{' => Members::of(value).unwrap().0.iter().map(|(_, value)| strings(value.get())).sum(),
        _ => 0,
    }
}

/// The text of inputs, in which a number in a list is a token, and how many media there are under their names.
fn inputs(value: &str) -> (usize, usize) {
    const MEDIA: [&str; 11] = [
        "image_url",
        "video_url",
        "input_audio",
        "audio_url",
        "image",
        "input_image",
        "video",
        "input_video",
        "audio",
        "file",
        "input_file",
    ];
    let (mut text, mut media) = (0, 0);
    let mut add = |(more, images): (usize, usize)| (text, media) = (text + more, media + images);
    match kind(value) {
        '[' => {
            for item in items(value).unwrap() {
                add(if kind(item.get()) == '0' { (TOKEN_BYTES, 0) } else { inputs(item.get()) });
            }
        }
        '{' => {
            for (name, value) in &Members::of(value).unwrap().0 {
                let is_media = MEDIA.contains(&name.as_str());
                add(if is_media { (0, usize::from(value.get() != "null")) } else { inputs(value.get()) });
            }
        }
        _ => add((strings(value), 0)),
    }
    (text, media)
}

/// What else a model reads of a body.
fn other_text(body: &Members) -> usize {
    let texts =
        ["suffix", "instruct", "instruction"].into_iter().flat_map(|name| body.all(name)).map(strings);
    let lists = body.all("functions").into_iter().filter(|value| *value != "null").map(str::len);
    texts.chain(lists).sum()
}

/// A number that is whole and sensible.
fn number(value: Option<&str>, least: f64) -> Option<u64> {
    let number: f64 = value.filter(|value| kind(value) == '0')?.parse().unwrap();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just before")]
    (number.fract() == 0.0 && (least..=1e8).contains(&number)).then_some(number as u64)
}

fn limit(body: &Members) -> Option<u64> {
    let names = ["max_tokens", "max_completion_tokens", "max_output_tokens"];
    let given = names.into_iter().flat_map(|name| body.all(name));
    given.filter_map(|value| number(Some(value), 1.0)).min()
}

fn asked(body: &Members) -> u64 {
    let given = ["n", "best_of"].into_iter().flat_map(|name| body.all(name));
    let most = given.filter_map(|value| {
        let number: f64 = Some(value).filter(|value| kind(value) == '0')?.parse().unwrap();
        // Beyond this a float does not tell one integer from the next, so it is none.
        (number.fract() == 0.0 && number <= 9e15).then_some(number.clamp(1.0, 128.0))
    });
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 1 to 128")]
    {
        most.fold(1.0, f64::max) as u64
    }
}

fn user(facts: &Facts, body: &Members) {
    let given = body.all("user").pop().filter(|value| kind(value) == '"');
    let given: Option<String> = given.map(|value| serde_json::from_str(value).unwrap());
    let given = given.as_deref().map(str::trim).filter(|given| !given.is_empty());
    assert_eq!(facts.user.is_some(), given.is_some());
    let (Some(given), Some(user)) = (given, &facts.user) else { return };
    assert!(!user.is_empty() && user.len() <= 128 && user.chars().all(|sign| !sign.is_control()));
    let is_plain = given.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if is_plain && given.len() <= 128 && !given.starts_with(['{', 'u']) {
        assert_eq!(user, given);
    }
}
