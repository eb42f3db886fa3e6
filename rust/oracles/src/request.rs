//! The scan of a request body against `serde_json` and the contract's table; the rewrite against what it may touch.

use llmgw_core::answer::context::AnswerMode;
use llmgw_core::dialect::Dialect;
use llmgw_core::json::MAX_DEPTH;
use llmgw_core::json::edit::joined;
use llmgw_core::request::error::RequestErrorCode;
use llmgw_core::request::media::Modality;
use llmgw_core::request::refused::Refused;
use llmgw_core::request::{
    ChatRequest, Rewrite, Route, ThinkingModes, ThinkingOutcome, ThinkingSent, UpstreamStream,
};

use serde_json::Value;

use crate::raw::{Members, depth, is_json, items};
use crate::{Choices, facts};

/// Any bytes: the scan takes what `serde_json` takes and the contract allows, and reads the same values out of it.
pub fn request(body: &[u8]) {
    let scanned = ChatRequest::scan(body);
    let json = is_json(body);
    let text = std::str::from_utf8(body).unwrap_or_default();
    match scanned {
        Ok(request) => {
            assert!(json, "taken, and no JSON");
            assert!(depth(body) <= MAX_DEPTH);
            let Some(members) = readable(text) else { return };
            assert_eq!(fault(&members), None, "taken in spite of it");
            let boolean = |name| members.given(name).map(|value| value == "true");
            assert_eq!(request.stream, boolean("stream").unwrap_or(false));
            assert_eq!(request.enable_thinking, boolean("enable_thinking"));
            assert_eq!(request.llmgw_thinking, boolean("llmgw_thinking"));
            if let Ok(model) = serde_json::from_str::<String>(members.given("model").unwrap()) {
                assert_eq!(request.model, model);
            }
            assert_eq!(request.media, media(members.given("messages").unwrap()));
            facts::chat(&request.facts, &members);
        }
        Err(error) => {
            assert!(error.offset <= body.len());
            assert!(!error.message.is_empty());
            match error.code {
                RequestErrorCode::InvalidJson => assert!(!json, "JSON, and refused as none: {error:?}"),
                RequestErrorCode::TooDeep => assert!(depth(body) > MAX_DEPTH),
                RequestErrorCode::UnsupportedValue | RequestErrorCode::PreviousResponseNotFound => {
                    panic!("of no chat body: {error:?}");
                }
                RequestErrorCode::InvalidType
                | RequestErrorCode::MissingField
                | RequestErrorCode::WrongApi
                | RequestErrorCode::DuplicateField => {
                    // The scan stops at the first fault, so what is after it may be no JSON.
                    if let Some(members) = readable(text) {
                        assert!(fault(&members).is_some(), "refused for nothing: {error:?}");
                    }
                }
            }
        }
    }
}

/// The members of a body. Half a surrogate pair, anywhere, is beyond the reference, and so is what is not JSON.
pub(crate) fn readable(text: &str) -> Option<Members> {
    serde_json::from_str::<Value>(text).ok().and_then(|_| Members::of(text))
}

/// What the contract has against a body, in no particular order.
fn fault(body: &Members) -> Option<String> {
    const READ: [&str; 19] = [
        "model",
        "messages",
        "max_tokens",
        "temperature",
        "top_p",
        "seed",
        "stream",
        "stream_options",
        "tools",
        "tool_choice",
        "enable_thinking",
        "llmgw_thinking",
        "response_format",
        "stop",
        "reasoning_effort",
        "thinking",
        "chat_template_kwargs",
        "max_completion_tokens",
        "reasoning",
    ];
    let twice = READ.into_iter().find(|name| body.all(name).len() > 1);
    if let Some(name) = twice {
        return Some(format!("{name} twice"));
    }
    let other_api = ["system", "stop_sequences", "anthropic_version"];
    if let Some(name) = other_api.into_iter().find(|name| body.given(name).is_some()) {
        return Some(format!("{name} of another API"));
    }
    for (name, holds) in [
        ("model", (|value| kind(value) == '"') as fn(&str) -> bool),
        ("messages", messages_hold),
        ("max_tokens", |value| kind(value) == '0'),
        ("max_completion_tokens", |value| kind(value) == '0'),
        ("temperature", |value| kind(value) == '0'),
        ("top_p", |value| kind(value) == '0'),
        ("seed", |value| kind(value) == '0' && !value.contains(['.', 'e', 'E'])),
        ("stream", |value| kind(value) == 't'),
        ("stream_options", |value| {
            object_holds(value, "include_usage", |value| matches!(kind(value), 't' | 'n'), true)
        }),
        ("tools", |value| kind(value) == '['),
        ("tool_choice", |value| matches!(kind(value), '"' | '{')),
        ("enable_thinking", |value| kind(value) == 't'),
        ("llmgw_thinking", |value| kind(value) == 't'),
        ("response_format", |value| object_holds(value, "type", |value| kind(value) == '"', false)),
        ("stop", |value| {
            kind(value) == '"'
                || items(value).is_some_and(|items| items.iter().all(|item| kind(item.get()) == '"'))
        }),
        ("reasoning_effort", |value| kind(value) == '"'),
        ("thinking", |value| kind(value) != '{' || object_holds(value, "type", |_| true, true)),
        ("chat_template_kwargs", |value| {
            kind(value) != '{' || object_holds(value, "enable_thinking", |_| true, true)
        }),
        ("reasoning", |value| {
            let read = ["effort", "enabled"];
            kind(value) != '{' || read.into_iter().all(|name| object_holds(value, name, |_| true, true))
        }),
    ] {
        match body.given(name) {
            Some(value) if !holds(value) => return Some(format!("{name}: {value}")),
            None if matches!(name, "model" | "messages") => return Some(format!("no {name}")),
            _ => {}
        }
    }
    None
}

/// The type of a value, by its first character; digits and minus are `0`, `true` and `false` are `t`.
pub(crate) fn kind(value: &str) -> char {
    match value.chars().next().unwrap() {
        '-' | '0'..='9' => '0',
        'f' => 't',
        kind => kind,
    }
}

/// Whether this is an object whose member of this name, of which there is at most one, holds.
pub(crate) fn object_holds(value: &str, name: &str, holds: fn(&str) -> bool, optional: bool) -> bool {
    if kind(value) != '{' {
        return false;
    }
    match Members::of(value).unwrap().all(name)[..] {
        [] => optional,
        [value] => holds(value),
        _ => false,
    }
}

fn messages_hold(value: &str) -> bool {
    let Some(messages) = items(value) else { return false };
    !messages.is_empty()
        && messages.iter().all(|message| {
            if kind(message.get()) != '{' {
                return false;
            }
            let members = Members::of(message.get()).unwrap();
            let parts =
                members.all("content").into_iter().flat_map(|content| items(content).unwrap_or_default());
            once(&members, &["role", "content", "tool_calls", "reasoning_content"])
                && parts.into_iter().all(|part| {
                    Members::of(part.get()).is_none_or(|part| {
                        once(&part, &["type", "text", "image_url", "video_url", "input_audio", "audio_url"])
                    })
                })
        })
}

fn once(members: &Members, names: &[&str]) -> bool {
    names.iter().all(|name| members.all(name).len() <= 1)
}

/// What the content parts hold, and the path of the first of each kind.
fn media(messages: &str) -> Vec<(Modality, String)> {
    let mut found: Vec<(Modality, String)> = Vec::new();
    for (message, members) in items(messages).unwrap().iter().enumerate() {
        let Some(members) = Members::of(members.get()) else { continue };
        let Some(parts) = members.given("content").and_then(items) else { continue };
        for (index, part) in parts.iter().enumerate() {
            let modality = Members::of(part.get()).and_then(|part| modality(&part));
            if let Some(modality) = modality
                && found.iter().all(|(known, _)| *known != modality)
            {
                found.push((modality, format!("messages[{message}].content[{index}]")));
            }
        }
    }
    found
}

pub(crate) fn modality(part: &Members) -> Option<Modality> {
    const MEMBERS: [(&str, Modality); 4] = [
        ("image_url", Modality::Image),
        ("video_url", Modality::Video),
        ("input_audio", Modality::Audio),
        ("audio_url", Modality::Audio),
    ];
    if let Some((_, modality)) = MEMBERS.into_iter().find(|(name, _)| part.given(name).is_some()) {
        return Some(modality);
    }
    let named = part.given("type").and_then(|name| serde_json::from_str::<String>(name).ok())?;
    match named.as_str() {
        "image_url" | "image" | "input_image" => Some(Modality::Image),
        "video_url" | "video" | "input_video" => Some(Modality::Video),
        "input_audio" | "audio_url" | "audio" => Some(Modality::Audio),
        "file" | "input_file" => Some(Modality::File),
        _ => None,
    }
}

/// Any body that is taken: a rewrite says what it must, touches what it may, and every other byte stays.
pub fn rewrite(body: &[u8]) {
    // What was kept for each turn that lost its reasoning; a bare quote can't stand in a JSON string.
    const KEPT: [Option<&[u8]>; 4] = [None, Some(b"thought"), Some(b"\\u003c\\n\\\""), Some(b"\"")];
    let Ok(request) = ChatRequest::scan(body) else { return };
    let text = std::str::from_utf8(body).unwrap();
    let Some(before) = readable(text) else { return };
    let mut choices = Choices::of(body);
    let keys = request.lost_turn_keys(body, &[[0; 32]]);
    let kept: Vec<_> = keys.iter().map(|_| choices.one_of(&KEPT)).collect();
    for dialect in Dialect::ALL {
        let route = Route {
            upstream_model: choices.one_of(&["m", "other \"model\"", "é"]).to_owned(),
            dialect,
            thinking_modes: ThinkingModes::BOTH,
            restore_reasoning: choices.coin(),
            upstream_stream: choices.one_of(&[
                UpstreamStream::Auto,
                UpstreamStream::Always,
                UpstreamStream::Never,
            ]),
            refuses: Refused::ALL.into_iter().filter(|_| choices.coin()).collect(),
            drop: ["seed", "x", "stream_options", "thinking", "messages", "max_tokens"]
                .into_iter()
                .filter(|_| choices.coin() && choices.coin())
                .map(str::to_owned)
                .collect(),
        };
        one_rewrite(&request, body, &before, &route, &kept);
    }
}

fn one_rewrite(request: &ChatRequest, body: &[u8], before: &Members, route: &Route, kept: &[Option<&[u8]>]) {
    let Rewrite { body: pieces, thinking, mode, restored } = request.splice(body, route, kept);
    let output = pieces.map(|pieces| joined(&pieces, body));
    assert_ne!(output.as_deref(), Some(body), "an edit that changes nothing");
    let output = output.unwrap_or_else(|| body.to_vec());
    let text = std::str::from_utf8(&output).unwrap();
    let after = Members::of(text).unwrap_or_else(|| panic!("no JSON object: {text}"));

    // Whatever it has no business with is there, verbatim and in order.
    let mut touched: Vec<&str> = vec!["model"];
    touched.extend(route.drop.iter().map(String::as_str).filter(|name| *name != "messages"));
    let has_switch = route.dialect != Dialect::Native;
    if thinking.is_some() {
        touched.extend(["enable_thinking", "llmgw_thinking"]);
        for name in off_fields(before).filter(|_| has_switch) {
            touched.push(name);
        }
    }
    let sent = thinking.map(|outcome| outcome.sent);
    match sent {
        Some(ThinkingSent::Dialect(Dialect::Directive)) => touched.push("messages"),
        Some(ThinkingSent::Dialect(Dialect::ThinkingObject)) => touched.push("thinking"),
        Some(ThinkingSent::Dialect(Dialect::ChatTemplateKwargs)) => touched.push("chat_template_kwargs"),
        _ => {}
    }
    if mode != AnswerMode::Plain {
        touched.extend(["stream", "stream_options"]);
    }
    if restored > 0 {
        touched.push("messages");
    }
    for name in respelled(before, &after, route) {
        touched.push(name);
    }
    if messages(before).iter().any(|message| mended(message, route, &[]) != reading(message, &[])) {
        touched.push("messages");
    }
    assert_eq!(before.others(&touched), after.others(&touched));
    if touched.len() == 1
        && before.given("model").is_some_and(|model| model == format!("{:?}", route.upstream_model))
    {
        assert_eq!(output, body, "nothing to change");
    }

    // Of an object that gets a member, every other member stays.
    for (name, set) in [
        ("stream_options", "include_usage"),
        ("thinking", "type"),
        ("chat_template_kwargs", "enable_thinking"),
    ] {
        let objects = (before.given(name).and_then(Members::of), after.given(name).and_then(Members::of));
        if let (Some(before), Some(after)) = objects {
            assert_eq!(before.others(&[set]), after.others(&[set]), "{name}");
        }
    }

    // What the upstream must see.
    let model: String = serde_json::from_str(after.given("model").unwrap()).unwrap();
    assert_eq!(model, route.upstream_model);
    if mode != AnswerMode::Plain {
        assert_eq!(after.all("stream"), ["true"]);
        let options = after.given("stream_options").and_then(Members::of).unwrap();
        assert_eq!(options.all("include_usage"), ["true"]);
    }
    if let Some(ThinkingOutcome { asked, sent }) = thinking {
        assert_eq!(request.thinking(), Some(asked));
        assert!(!has_switch || off_fields(&after).next().is_none(), "said twice");
        assert_eq!(after.all("llmgw_thinking"), [""; 0]);
        let own = sent == ThinkingSent::Dialect(Dialect::EnableThinking);
        assert_eq!(after.given("enable_thinking"), own.then_some(if asked { "true" } else { "false" }));
        if sent == ThinkingSent::Dialect(Dialect::ThinkingObject) {
            let object = after.given("thinking").and_then(Members::of).unwrap();
            let kind: String = serde_json::from_str(object.given("type").unwrap()).unwrap();
            assert_eq!(kind, if asked { "enabled" } else { "disabled" });
        }
    } else {
        let by_boolean = before.given("enable_thinking").or(before.given("llmgw_thinking"));
        assert_eq!((request.thinking(), by_boolean), (off_fields(before).next().map(|_| false), None));
        assert!(!has_switch || request.thinking().is_none());
    }

    if let AnswerMode::Stream { include_usage } = mode {
        let options = before.given("stream_options").and_then(Members::of);
        let asked = options.as_ref().and_then(|options| options.given("include_usage"));
        assert_eq!(include_usage, asked == Some("true"));
    }

    // Lost turns, and no others, get what was kept of them.
    let lost = request.lost_turns(body, route);
    let by_directive = sent == Some(ThinkingSent::Dialect(Dialect::Directive));
    let thinks = lost > 0;
    assert!(!thinks || route.restore_reasoning);
    if route.restore_reasoning && !switched_off(before, thinking) {
        assert_eq!(lost, lost_turns(before));
    } else {
        assert_eq!(lost, 0);
    }
    let kept = if thinks { kept } else { &[] };
    assert_eq!(restored, messages_restored(before, &after, route, kept, by_directive));

    // The upstream's reader takes it, and the rewrite has nothing to add to its own work.
    let again = ChatRequest::scan(&output).unwrap();
    if thinks {
        let restoring = Route { restore_reasoning: true, ..route.clone() };
        assert_eq!(again.lost_turns(&output, &restoring), lost - restored);
    }
    if sent != Some(ThinkingSent::Dialect(Dialect::EnableThinking)) {
        // What is dropped decides about a limit's name.
        let drop = route.drop.iter().filter(|name| *name == "max_tokens").cloned().collect();
        let settled = Route { upstream_stream: UpstreamStream::Never, drop, ..route.clone() };
        assert_eq!(again.splice(&output, &settled, &[]).body, None);
    }
}

/// The fields, beside the booleans, that ask for no thinking.
fn off_fields(body: &Members) -> impl Iterator<Item = &'static str> + use<> {
    let effort = body.given("reasoning_effort").is_some_and(|effort| says(effort, "none"));
    let reasoning = body.given("reasoning").and_then(Members::of).is_some_and(|reasoning| {
        let none = reasoning.given("effort").is_some_and(|effort| says(effort, "none"));
        none || reasoning.given("enabled") == Some("false")
    });
    [(effort, "reasoning_effort"), (reasoning, "reasoning")]
        .into_iter()
        .filter_map(|(off, name)| off.then_some(name))
}

/// Check the fields that the upstream gets in other words. Their names.
fn respelled(before: &Members, after: &Members, route: &Route) -> Vec<&'static str> {
    let mut touched = Vec::new();
    let dropped = route.drop.iter().any(|name| name == "max_tokens");
    if route.refuses.has(Refused::MaxCompletionTokens)
        && let (Some(limit), None, false) =
            (before.given("max_completion_tokens"), before.given("max_tokens"), dropped)
    {
        assert_eq!((after.all("max_tokens"), after.all("max_completion_tokens")), (vec![limit], vec![]));
        touched.extend(["max_tokens", "max_completion_tokens"]);
    }
    if route.refuses.has(Refused::MinimalEffort)
        && route.dialect != Dialect::Native
        && before.given("reasoning_effort").is_some_and(|effort| says(effort, "minimal"))
    {
        assert_eq!(after.all("reasoning_effort"), ["\"low\""]);
        touched.push("reasoning_effort");
    }
    touched
}

/// Whether the upstream is told not to think: by the switch that was sent, or by the client's own object.
fn switched_off(before: &Members, thinking: Option<ThinkingOutcome>) -> bool {
    if let Some(ThinkingOutcome { asked, sent: ThinkingSent::Dialect(_) }) = thinking {
        return !asked;
    }
    let object = before.given("thinking").and_then(Members::of);
    object.as_ref().and_then(|object| object.given("type")).is_some_and(|kind| says(kind, "disabled"))
}

fn says(value: &str, text: &str) -> bool {
    serde_json::from_str::<String>(value).is_ok_and(|said| said == text)
}

fn messages(body: &Members) -> Vec<Members> {
    let messages = items(body.given("messages").unwrap()).unwrap();
    messages.iter().map(|message| Members::of(message.get()).unwrap()).collect()
}

/// None where no tools are spoken of.
fn lost_turns(body: &Members) -> usize {
    let messages = messages(body);
    let called = |message: &Members| {
        is_assistant(message)
            && message.given("tool_calls").and_then(items).is_some_and(|calls| !calls.is_empty())
    };
    let offered = body.given("tools").and_then(items).is_some_and(|tools| !tools.is_empty());
    if offered || messages.iter().any(called) {
        messages.iter().filter(|message| is_lost(message)).count()
    } else {
        0
    }
}

/// Whether an assistant message has no reasoning.
fn is_lost(message: &Members) -> bool {
    is_assistant(message) && message.given("reasoning_content").is_none_or(is_blank)
}

fn is_assistant(message: &Members) -> bool {
    message.given("role").is_some_and(|role| says(role, "assistant"))
}

fn is_blank(value: &str) -> bool {
    match kind(value) {
        '"' => value == "\"\"",
        '[' => items(value).is_some_and(|items| items.is_empty()),
        '{' => Members::of(value).is_some_and(|members| members.0.is_empty()),
        _ => false,
    }
}

/// A member as it is spelled; a list of content parts part by part.
type Reading = Vec<(String, Vec<String>)>;

fn reading(message: &Members, touched: &[&str]) -> Reading {
    let spelled = |(name, value): (&str, &str)| {
        let parts = if name == "content" && kind(value) == '[' { items(value) } else { None };
        let parts = parts.map(|parts| parts.iter().map(|part| part.get().to_owned()).collect());
        (name.to_owned(), parts.unwrap_or_else(|| vec![value.to_owned()]))
    };
    message.others(touched).into_iter().map(spelled).collect()
}

/// The same as the upstream is to get it.
fn mended(message: &Members, route: &Route, touched: &[&str]) -> Reading {
    let has = |one| route.refuses.has(one);
    let leaves = |name: &str, value: &str| {
        let other_rule = route.restore_reasoning && name == "reasoning_content";
        has(Refused::Nulls) && value == "null" && !matches!(name, "role" | "content") && !other_rule
    };
    let mut mended = reading(message, touched);
    mended.retain(|(name, value)| !leaves(name, &value.concat()));
    for (name, value) in &mut mended {
        let parts = message.given("content").is_some_and(|content| kind(content) == '[');
        if name == "role" && has(Refused::DeveloperRole) && says(&value.concat(), "developer") {
            *value = vec!["\"system\"".to_owned()];
        } else if name == "content"
            && has(Refused::EmptyText)
            && parts
            && value.iter().any(|part| is_empty(part))
        {
            value.retain(|part| !is_empty(part));
            if value.is_empty() {
                *value = vec!["\"\"".to_owned()];
            }
        }
    }
    mended
}

/// Whether this is a text part without text.
fn is_empty(part: &str) -> bool {
    let part = Members::of(part);
    part.is_some_and(|part| {
        part.given("type").is_some_and(|kind| says(kind, "text")) && part.given("text") == Some("\"\"")
    })
}

/// Check that lost turns have what was kept of them, and that nothing else of any message has changed (but for the
/// content that a directive goes to). How many have got theirs.
fn messages_restored(
    before: &Members,
    after: &Members,
    route: &Route,
    kept: &[Option<&[u8]>],
    by_directive: bool,
) -> usize {
    const REASONING: &str = "reasoning_content";
    let (before, after) = (messages(before), messages(after));
    assert_eq!(before.len(), after.len());
    let mut kept = kept.iter();
    let mut restored = 0;
    for (before, after) in before.iter().zip(&after) {
        let own = if is_lost(before) { kept.next().copied().flatten() } else { None };
        let expected = own.map(|text| format!("\"{}\"", std::str::from_utf8(text).unwrap()));
        match expected.filter(|text| serde_json::from_str::<String>(text).is_ok()) {
            Some(text) => {
                assert_eq!(after.all(REASONING), [text]);
                restored += 1;
            }
            None => assert!(
                before.all(REASONING) == after.all(REASONING)
                    || route.refuses.has(Refused::Nulls) && before.given(REASONING).is_none()
            ),
        }
        let touched = if by_directive { &[REASONING, "content"][..] } else { &[REASONING] };
        assert_eq!(mended(before, route, touched), reading(after, touched));
    }
    restored
}
