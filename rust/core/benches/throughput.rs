//! Throughput of the core without Python in the way, on the corpus that `python -m benches.corpus` writes.
//!
//! Prints one line per case (median of the rounds) and, given a path, writes the figures there as JSON for
//! `benches/report.py`. A plain `main`: medians of a fixed time are all that is wanted, so std is enough.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fs};

use llmgw_core::answer::context::{AnswerContext, AnswerMode, Vectors};
use llmgw_core::answer::merge::Merger;
use llmgw_core::answer::stream::Transformer;
use llmgw_core::api::Api;
use llmgw_core::api::messages::{self, MessagesReply, Options, ShownThinking};
use llmgw_core::api::reply::Reply;
use llmgw_core::api::responses::tools::ToolNames;
use llmgw_core::api::responses::{self, ResponsesReply};
use llmgw_core::dialect::Dialect;
use llmgw_core::json::edit::joined;
use llmgw_core::request::refused::Refuses;
use llmgw_core::request::{ChatRequest, LONG_BODY_BYTES, Route, ThinkingModes, UpstreamStream};
use llmgw_core::sse::SseLimits;

/// How long one case is measured, and how many rounds at least.
const TIME_PER_CASE: Duration = Duration::from_secs(1);
const MIN_ROUNDS: usize = 15;
/// How much of a stream one read from a socket yields; the same as in `benches/corpus.py`.
const READ_BYTES: usize = 4096;

const BODIES: [&str; 4] = ["chat-1k.json", "chat-100k.json", "chat-1m.json", "image-4m.json"];
const MESSAGES_BODIES: [&str; 3] = ["messages-100k.json", "messages-1m.json", "messages-4m.json"];
const RESPONSES_BODIES: [&str; 2] = ["responses-100k.json", "responses-1m.json"];
const STREAMS: [&str; 3] = ["clean.sse", "unlike.sse", "quirky.sse"];

type Outcome = Result<(), Box<dyn Error>>;

struct Figure {
    operation: &'static str,
    case: &'static str,
    bytes: usize,
    median: Duration,
}

fn main() -> Outcome {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-corpus");
    let route = Route {
        upstream_model: "qwen3-plus-2026-11-01".into(),
        dialect: Dialect::EnableThinking,
        thinking_modes: ThinkingModes::BOTH,
        refuses: Refuses::NOTHING,
        restore_reasoning: false,
        upstream_stream: UpstreamStream::Auto,
        drop: Vec::new(),
    };
    let mut figures = Vec::new();
    for case in BODIES {
        let body = fs::read(corpus.join(case))?;
        figures.push(measure("rewrite", case, &body, |body| rewrite(body, &route))?);
    }
    for case in MESSAGES_BODIES {
        let body = fs::read(corpus.join(case))?;
        figures.push(measure("from messages", case, &body, |body| {
            black_box(messages::convert(body, Options::default())?);
            Ok(())
        })?);
    }
    for case in RESPONSES_BODIES {
        let body = fs::read(corpus.join(case))?;
        figures.push(measure("from responses", case, &body, |body| {
            black_box(responses::convert(body, None)?);
            Ok(())
        })?);
    }
    for case in STREAMS {
        let stream = fs::read(corpus.join(case))?;
        figures.push(measure("transform", case, &stream, transform)?);
        figures.push(measure("merge", case, &stream, merge)?);
        for (operation, reply) in [("messages", messages()), ("responses", to_responses())] {
            figures.push(measure(operation, case, &stream, |stream| convert(stream, &reply))?);
        }
    }
    let lists = embeddings();
    let base64 = vectors(&lists, Vectors::Base64)?;
    figures.push(measure("vectors", "to base64", &lists, |body| vectors(body, Vectors::Base64).map(drop))?);
    figures.push(measure("vectors", "to floats", &base64, |body| vectors(body, Vectors::Floats).map(drop))?);
    for figure in &figures {
        println!("{}", line(figure));
    }
    // cargo adds `--bench` to the arguments of its own accord.
    if let Some(path) = env::args_os().skip(1).map(PathBuf::from).find(|path| !path.starts_with("--bench")) {
        fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        fs::write(path, json(&figures))?;
    }
    Ok(())
}

fn rewrite(body: &[u8], route: &Route) -> Outcome {
    let request = ChatRequest::scan(body)?;
    // As the binding does it: slices of a long body are sent, a short one is joined.
    let rewrite = request.splice(body, route, &[]);
    if body.len() < LONG_BODY_BYTES {
        black_box(rewrite.body.map(|pieces| joined(&pieces, body)));
    } else {
        black_box(rewrite);
    }
    Ok(())
}

fn transform(stream: &[u8]) -> Outcome {
    let mut transformer = Transformer::new(context(), true, SseLimits::default());
    let mut output = Vec::new();
    for read in stream.chunks(READ_BYTES) {
        transformer.feed(read, &mut output);
    }
    transformer.finish(&mut output);
    black_box(&output);
    transformer.error().map_or(Ok(()), |error| Err(error.message.clone().into()))
}

fn merge(stream: &[u8]) -> Outcome {
    let mut merger = Merger::new(context(), SseLimits::default());
    for read in stream.chunks(READ_BYTES) {
        merger.feed(read);
    }
    merger.finish();
    black_box(merger.into_completion().map_err(|error| error.message)?);
    Ok(())
}

/// A stream as another API's events.
fn convert(stream: &[u8], reply: &Reply) -> Outcome {
    let context = AnswerContext { reply: reply.clone(), ..context() };
    let mode = AnswerMode::Stream { include_usage: true };
    let mut machine = Api::Chat.machine(mode, context, SseLimits::default());
    let mut output = Vec::new();
    for read in stream.chunks(READ_BYTES) {
        machine.feed(Some(read), &mut output);
    }
    machine.feed(None, &mut output);
    black_box(&output);
    machine.error().map_or(Ok(()), |error| Err(error.message.clone().into()))
}

fn messages() -> Reply {
    Reply::Messages(Arc::new(MessagesReply {
        model: "model".into(),
        input_tokens: 100,
        thinking: ShownThinking::Summarized,
        seal: None,
        stop_sequences: Vec::new(),
    }))
}

fn to_responses() -> Reply {
    Reply::Responses(Arc::new(ResponsesReply {
        model: "model".into(),
        shows_reasoning: true,
        seals_reasoning: false,
        seal: None,
        tools: ToolNames::default(),
        echo: Vec::new(),
    }))
}

/// 64 embeddings of 1024 numbers each, as long as models write them.
#[allow(clippy::cast_precision_loss, reason = "any numbers will do")]
fn embeddings() -> Vec<u8> {
    let vector = |seed: u32| {
        let numbers = (0..1024_u32).map(|at| (seed * 7919 + at * 104_729) % 1_000_003);
        let numbers: Vec<_> = numbers.map(|number| (number as f32 / 1_000_003.0 - 0.5).to_string()).collect();
        format!(r#"{{"object":"embedding","index":{seed},"embedding":[{}]}}"#, numbers.join(","))
    };
    let vectors: Vec<_> = (0..64).map(vector).collect();
    format!(r#"{{"object":"list","data":[{}],"model":"model"}}"#, vectors.join(",")).into_bytes()
}

fn vectors(body: &[u8], wanted: Vectors) -> Result<Vec<u8>, Box<dyn Error>> {
    let context = AnswerContext { vectors: wanted, ..context() };
    let cleaned = Api::Embeddings.clean(body, &context).map_err(|error| error.message)?;
    Ok(black_box(cleaned.body.ok_or("nothing was converted")?))
}

fn context() -> AnswerContext {
    AnswerContext {
        request_id: "req".into(),
        model: "model".into(),
        created_s: 0,
        ..AnswerContext::default()
    }
}

fn measure(
    operation: &'static str,
    case: &'static str,
    input: &[u8],
    mut run: impl FnMut(&[u8]) -> Outcome,
) -> Result<Figure, Box<dyn Error>> {
    run(input)?;
    let mut rounds = Vec::new();
    let started = Instant::now();
    while started.elapsed() < TIME_PER_CASE || rounds.len() < MIN_ROUNDS {
        let round = Instant::now();
        run(black_box(input))?;
        rounds.push(round.elapsed());
    }
    rounds.sort_unstable();
    Ok(Figure { operation, case, bytes: input.len(), median: rounds[rounds.len() / 2] })
}

#[allow(clippy::cast_precision_loss, reason = "a size in bytes, for display")]
fn line(figure: &Figure) -> String {
    let Figure { operation, case, bytes, median } = figure;
    let rate = *bytes as f64 / median.as_secs_f64() / 1e6;
    format!("{operation:10} {case:15} {bytes:>9} B {:>10.1} µs {rate:>9.0} MB/s", median.as_secs_f64() * 1e6)
}

fn json(figures: &[Figure]) -> String {
    let rows: Vec<String> = figures
        .iter()
        .map(|Figure { operation, case, bytes, median }| {
            let median_s = median.as_secs_f64();
            format!(
                r#"{{"operation": "{operation}", "case": "{case}", "bytes": {bytes}, "median_s": {median_s:e}}}"#
            )
        })
        .collect();
    format!("[\n  {}\n]\n", rows.join(",\n  "))
}
