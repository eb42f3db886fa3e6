//! One value of JSON, and what it says of an error: a walk over a few levels, which forgives everything.

use super::code::Code;
use super::words;
use crate::json::{JsonError, Kind, Scanner, Value};

/// An error inside an error, and so on, up to here; what is further inside is not read.
const MAX_NESTING: usize = 5;
/// What a Python framework answers to a request with a list of faults.
const FAULTS_STATUS: u16 = 422;
/// Of a list of errors, or of messages, these are read.
const MAX_ITEMS: usize = 8;

/// What one value says, and what it wraps.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// No answer looks like this.
    pub(super) is_error: bool,
    pub(super) status: Option<u16>,
    /// From a member that is made for it.
    pub(super) code: Option<String>,
    /// From one that may hold anything: `type`, `status`, `error` as a word.
    pub(super) kind: Option<String>,
    pub(super) message: Option<String>,
}

impl Said {
    pub(super) fn of_json(text: &str) -> Option<Self> {
        let input = text.as_bytes();
        let value = Scanner::new(input).value().ok()?;
        Self::of_value(input, value, 0)
    }

    /// The value of a member `error`, or of its like. None where it says that there is no error.
    pub(super) fn nested(input: &[u8], value: Value, depth: usize) -> Option<Self> {
        if value.is_blank(input) || matches!(value.span.of(input), b"false" | b"0") {
            return None;
        }
        let said = Self::of_value(input, value, depth + 1).unwrap_or_default();
        Some(Self { is_error: true, ..said })
    }

    /// `{"status_code": 1002, "status_msg": "rate limit"}`, which MiniMax sends with successes too.
    pub(super) fn of_base_resp(input: &[u8], base_resp: Value) -> Option<Self> {
        if base_resp.kind != Kind::Object {
            return None;
        }
        let (mut number, mut said) = (0, Self::default());
        let _ = Scanner::of(input, base_resp).object(|scanner, key| {
            let value = scanner.value()?;
            if key.text.is("status_code") {
                number = value.as_u64(input).unwrap_or(0);
            } else if key.text.is("status_msg") {
                said.message = text(input, value);
            }
            Ok::<_, JsonError>(())
        });
        said.status = Some(words::status_of_base_resp(number)?);
        Some(Self { is_error: true, code: Some(number.to_string()), ..said })
    }

    fn of_value(input: &[u8], value: Value, depth: usize) -> Option<Self> {
        if depth > MAX_NESTING {
            return None;
        }
        match value.kind {
            Kind::Object => Some(Members::read(input, value, depth)),
            Kind::Array => items(input, value).find_map(|item| Self::of_value(input, item, depth + 1)),
            Kind::String => Some(Self { message: text(input, value), ..Self::default() }),
            Kind::Number | Kind::Boolean | Kind::Null => None,
        }
    }

    /// Whether this is the code of a failure.
    fn code(&mut self, code: Code) -> bool {
        match code {
            Code::Status(status) => {
                self.status.get_or_insert(status);
            }
            Code::Word(word) => {
                self.code.get_or_insert(word);
            }
            Code::Success | Code::None => return false,
        }
        true
    }

    /// Whether this sounds like an error.
    fn kind(&mut self, word: String) -> bool {
        let lower = word.to_ascii_lowercase();
        let is_bare = matches!(&*lower, "error" | "fail" | "failed" | "failure");
        let sounds = is_bare || lower.ends_with("error") || lower.ends_with("exception");
        if !is_bare && (sounds || words::status_of(&word).is_some()) {
            self.kind.get_or_insert(word);
        }
        sounds
    }

    /// What another value says too, where there is nothing yet.
    fn add(&mut self, other: Option<Self>) {
        let Some(other) = other else { return };
        self.is_error |= other.is_error;
        self.status = self.status.or(other.status);
        self.code = self.code.take().or(other.code);
        self.kind = self.kind.take().or(other.kind);
        self.message = self.message.take().or(other.message);
    }

    /// A message that is itself JSON with an error in it, as gateways in front of gateways make them.
    fn unwrapped(self, depth: usize) -> Self {
        let is_json = |message: &&String| depth < MAX_NESTING && message.starts_with('{');
        let wrapped = self.message.as_ref().filter(is_json).and_then(|message| {
            let input = message.as_bytes();
            let value = Scanner::new(input).value().ok()?;
            Self::of_value(input, value, depth + 1).filter(|said| said.is_error && said.message.is_some())
        });
        let Some(mut wrapped) = wrapped else { return self };
        wrapped.add(Some(self));
        wrapped
    }
}

/// What a member is about.
#[derive(Clone, Copy)]
enum Topic {
    /// Holds the error.
    Error,
    /// Holds the answer or the error (Tencent).
    Wrapper,
    Message,
    /// Says by its name that there is an error.
    ErrorMessage,
    Detail,
    Code,
    ErrorCode,
    Status,
    Type,
    ErrorType,
    Object,
    BaseResp,
    Success,
    Other,
}

impl Topic {
    fn of(name: &str) -> Self {
        let signs = name.chars().filter(|sign| !matches!(sign, '_' | '-'));
        let folded: String = signs.map(|sign| sign.to_ascii_lowercase()).collect();
        match &*folded {
            "error" | "errors" => Self::Error,
            "response" => Self::Wrapper,
            "message" | "msg" | "title" => Self::Message,
            "errormessage" | "errormsg" | "errordescription" => Self::ErrorMessage,
            "detail" => Self::Detail,
            "code" => Self::Code,
            "errorcode" => Self::ErrorCode,
            "status" | "statuscode" | "httpcode" | "httpstatus" | "httpstatuscode" => Self::Status,
            "type" => Self::Type,
            "errortype" => Self::ErrorType,
            "object" => Self::Object,
            "baseresp" => Self::BaseResp,
            "success" => Self::Success,
            _ => Self::Other,
        }
    }
}

/// The members of one object, as they are read.
struct Members<'a> {
    input: &'a [u8],
    depth: usize,
    said: Said,
    /// What stands further inside, which is nearer to the cause.
    inner: Said,
    /// `error`, where it is a text: a name, if there is a sentence beside it.
    error: Option<String>,
    count: usize,
    /// A code that is no success, or a type that sounds like an error: one, if there is a message too.
    is_suspect: bool,
    has_detail: bool,
}

impl<'a> Members<'a> {
    fn read(input: &'a [u8], object: Value, depth: usize) -> Said {
        let (said, inner) = (Said::default(), Said::default());
        let mut members =
            Self { input, depth, said, inner, error: None, count: 0, is_suspect: false, has_detail: false };
        // It has been scanned before, so it can't fail now.
        let _ = Scanner::of(input, object).object(|scanner, key| {
            let value = scanner.value()?;
            members.count += 1;
            members.member(Topic::of(&key.text.decode()), value);
            Ok::<_, JsonError>(())
        });
        members.finish()
    }

    fn member(&mut self, topic: Topic, value: Value) {
        let input = self.input;
        match topic {
            Topic::Error if value.kind == Kind::String => {
                self.error = text(input, value);
                self.said.is_error |= self.error.is_some();
            }
            Topic::Error => self.inner.add(Said::nested(input, value, self.depth)),
            Topic::Wrapper if value.kind == Kind::Object => {
                let said = Said::of_value(input, value, self.depth + 1);
                self.inner.add(said.filter(|said| said.is_error));
            }
            Topic::BaseResp => self.inner.add(Said::of_base_resp(input, value)),
            Topic::Message => self.message(value),
            Topic::ErrorMessage => {
                self.said.is_error |= !value.is_blank(input);
                self.message(value);
            }
            Topic::Detail => {
                self.has_detail |= !value.is_blank(input);
                if value.kind == Kind::Array && !value.is_blank(input) {
                    self.said.status.get_or_insert(FAULTS_STATUS);
                }
                self.message(value);
            }
            Topic::Object => self.said.is_error |= value.as_text(input).is_some_and(|text| text.is("error")),
            Topic::Success => self.said.is_error |= value.as_bool(input) == Some(false),
            Topic::Code | Topic::ErrorCode | Topic::Status | Topic::Type | Topic::ErrorType => {
                self.code(topic, Code::of(input, value));
            }
            Topic::Wrapper | Topic::Other => {}
        }
    }

    /// A text, several of them, or an object that holds one.
    fn message(&mut self, value: Value) {
        let message = match value.kind {
            Kind::String => text(self.input, value),
            Kind::Array => joined(self.input, value),
            Kind::Object => return self.inner.add(Said::nested(self.input, value, self.depth)),
            Kind::Number | Kind::Boolean | Kind::Null => None,
        };
        self.said.message = self.said.message.take().or(message);
    }

    fn code(&mut self, topic: Topic, code: Code) {
        match (topic, code) {
            (Topic::Code, code) => self.is_suspect |= self.said.code(code),
            (Topic::ErrorCode, code) => self.said.is_error |= self.said.code(code),
            (topic, Code::Word(word)) => {
                self.said.is_error |=
                    matches!(topic, Topic::ErrorType) || word == "error" && matches!(topic, Topic::Type);
                self.is_suspect |= self.said.kind(word);
            }
            (Topic::Status, code) => self.said.is_error |= self.said.code(code),
            (_, _) => {}
        }
    }

    fn finish(self) -> Said {
        let Self { mut said, mut inner, error, .. } = self;
        match error {
            Some(error) if said.message.is_some() || inner.message.is_some() => {
                said.kind.get_or_insert(error);
            }
            error => said.message = said.message.or(error),
        }
        said.is_error |= self.is_suspect && said.message.is_some();
        // FastAPI's, which holds nothing else.
        said.is_error |= self.has_detail && self.count == 1;
        inner.add(Some(said));
        inner.unwrapped(self.depth)
    }
}

fn items(input: &[u8], array: Value) -> impl Iterator<Item = Value> {
    let mut items = Vec::new();
    let _ = Scanner::of(input, array).array(|scanner, _| {
        let item = scanner.value()?;
        if items.len() < MAX_ITEMS {
            items.push(item);
        }
        Ok::<_, JsonError>(())
    });
    items.into_iter()
}

/// The text of a string that says something.
fn text(input: &[u8], value: Value) -> Option<String> {
    value.as_text(input).map(|text| text.decode().into_owned()).filter(|text| !text.trim_ascii().is_empty())
}

/// A list of texts, or of faults as Python frameworks write them, `{"loc": ["body", "top_p"], "msg": "…"}`, as one text.
fn joined(input: &[u8], list: Value) -> Option<String> {
    let texts: Vec<String> = items(input, list).filter_map(|item| sentence(input, item)).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

fn sentence(input: &[u8], item: Value) -> Option<String> {
    if item.kind != Kind::Object {
        return text(input, item);
    }
    let (mut place, mut message) = (None, None);
    let _ = Scanner::of(input, item).object(|scanner, key| {
        let value = scanner.value()?;
        if key.text.is("loc") && value.kind == Kind::Array {
            let parts: Vec<String> = items(input, value).filter_map(|part| step(input, part)).collect();
            place = Some(parts.join(".")).filter(|place| !place.is_empty());
        } else if key.text.is("msg") || key.text.is("message") {
            message = text(input, value);
        }
        Ok::<_, JsonError>(())
    });
    match place {
        Some(place) => message.map(|message| format!("{place}: {message}")),
        None => message,
    }
}

/// A name or a number on the way to the place of a fault.
fn step(input: &[u8], part: Value) -> Option<String> {
    match part.kind {
        Kind::Number => Some(String::from_utf8_lossy(part.span.of(input)).into_owned()),
        _ => text(input, part),
    }
}
