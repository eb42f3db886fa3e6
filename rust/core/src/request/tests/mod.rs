//! Tests of the scan and of the rewrite, rule by rule, and the properties that hold for every body.

mod lost;
mod properties;
mod rewrite;
mod scan;
mod thinking;

use super::*;

/// A route to this model, its dialect by name, nothing special.
fn route(upstream_model: &str) -> Route {
    Route {
        upstream_model: upstream_model.to_owned(),
        dialect: Dialect::for_model(upstream_model),
        thinking_modes: ThinkingModes::BOTH,
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
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Never,
        drop: Vec::new(),
    }
}

fn rewrite(body: &str, route: &Route) -> Rewrite {
    ChatRequest::scan(body.as_bytes()).unwrap().rewrite(body.as_bytes(), route)
}

/// The upstream's body, whether or not it differs.
fn upstream_body(body: &str, route: &Route) -> String {
    rewrite(body, route).body.map_or_else(|| body.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}
