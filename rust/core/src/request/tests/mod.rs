//! Tests of the scan and of the rewrite, rule by rule, and the properties that hold for every body.

mod facts;
mod keys;
mod lost;
mod messages;
mod properties;
mod respell;
mod rewrite;
mod scan;
mod session;
mod thinking;

use super::*;
use crate::json::edit::joined;

/// A route to this model, its dialect by name, nothing special.
fn route(upstream_model: &str) -> Route {
    Route {
        upstream_model: upstream_model.to_owned(),
        dialect: Dialect::for_model(upstream_model),
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Auto,
        drop: Vec::new(),
    }
}

/// A route in this dialect to the model `m`, which answers clients without a stream without a stream.
fn plain(dialect: Dialect) -> Route {
    Route {
        upstream_model: "m".to_owned(),
        dialect,
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Never,
        drop: Vec::new(),
    }
}

/// A [`Rewrite`] with its body joined.
#[derive(Debug, PartialEq, Eq)]
struct Rewritten {
    body: Option<Vec<u8>>,
    thinking: Option<ThinkingOutcome>,
    mode: AnswerMode,
    restored: usize,
}

impl Rewritten {
    fn of(request: &ChatRequest, body: &[u8], route: &Route, reasoning: &[Option<&[u8]>]) -> Self {
        let Rewrite { body: pieces, thinking, mode, restored } = request.splice(body, route, reasoning);
        Self { body: pieces.map(|pieces| joined(&pieces, body)), thinking, mode, restored }
    }

    /// What was asked and sent, as the response header says it.
    fn header(&self) -> String {
        let outcome = self.thinking.unwrap();
        format!("{}; {}", outcome.asked_as_str(), outcome.sent.as_str())
    }
}

fn rewrite(body: &str, route: &Route) -> Rewritten {
    let request = ChatRequest::scan(body.as_bytes()).unwrap();
    Rewritten::of(&request, body.as_bytes(), route, &[])
}

/// The upstream's body, whether or not it differs.
fn upstream_body(body: &str, route: &Route) -> String {
    rewrite(body, route).body.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}
