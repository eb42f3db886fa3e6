//! Answers in one piece: plain ones, and streams merged into one.

use std::time::Instant;

use llmgw_core::answer::context::AnswerMode;
use llmgw_upstream::{ErrorKind, Upstream};

use crate::support::{
    COMPLETION, DONE, FIRST, LAST, SECOND, Server, block, chunk, event, failure, response, rest, start,
};

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn a_plain_answer() {
    let chunked = |pieces: &[&str]| {
        let coded: Vec<u8> = pieces.iter().flat_map(chunk).chain(chunk("")).collect();
        let coded = String::from_utf8(coded).unwrap();
        format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n{coded}")
    };
    let bytes: Vec<&str> = COMPLETION.split("").filter(|piece| !piece.is_empty()).collect();
    let rows = [
        ("with a length", response("200 OK", JSON, COMPLETION)),
        ("chunked", chunked(&[&COMPLETION[..50], &COMPLETION[50..]])),
        ("byte by byte", chunked(&bytes)),
        (
            "with a charset",
            response("200 OK", "content-type: application/json; charset=utf-8\r\n", COMPLETION),
        ),
        ("of another 2xx", response("201 Created", JSON, COMPLETION)),
        (
            "that says identity",
            response("200 OK", &format!("{JSON}content-encoding: identity\r\n"), COMPLETION),
        ),
    ];
    for (name, said) in rows {
        let server = Server::start();
        let exchange = server.start_exchange(AnswerMode::Plain);
        let (mut peer, _) = server.request().await;
        peer.send(said).await;
        assert_eq!(block(&exchange).await, COMPLETION, "{name}");
        assert_eq!(rest(&exchange).await, "", "{name}");
        let report = exchange.report();
        assert_eq!(report.summary.usage.and_then(|usage| usage.completion_tokens), Some(2), "{name}");
        assert_eq!(report.summary.finish_reason.as_deref(), Some("stop"), "{name}");
        assert_eq!((report.first_event, report.error_kind()), (None, None), "{name}");
    }
}

#[tokio::test]
async fn a_plain_answer_is_cleaned() {
    let server = Server::start();
    let exchange = server.start_exchange(AnswerMode::Plain);
    let (mut peer, _) = server.request().await;
    let said = COMPLETION.replace(r#""role":"assistant","#, "");
    peer.send(response("200 OK", JSON, &said)).await;
    let answer = block(&exchange).await;
    assert!(answer.contains(r#""role":"assistant""#), "{answer}");
}

#[tokio::test]
async fn a_stream_merged() {
    let server = Server::start();
    let started = Instant::now();
    let exchange = server.start_exchange(AnswerMode::Merged);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    peer.chunk(SECOND).await;
    peer.finish(&[LAST, DONE].concat()).await;
    let answer = block(&exchange).await;
    assert!(answer.contains(r#""object":"chat.completion","#), "{answer}");
    assert!(answer.contains(r#""content":"one two""#), "{answer}");
    assert_eq!(rest(&exchange).await, "");
    let report = exchange.report();
    assert_eq!(report.summary.finish_reason.as_deref(), Some("stop"));
    assert!(report.first_event.is_some_and(|first_event| first_event <= started.elapsed()));
    assert_eq!(report.error_kind(), None);
}

#[tokio::test]
async fn a_merged_stream_that_breaks_is_an_error() {
    let rows = [
        ("an error event", "data: {\"error\":{\"message\":\"no more\"}}\n\n", ErrorKind::ErrorEvent),
        ("a clean end too early", "", ErrorKind::Truncated),
        ("nonsense", "data: nonsense\n\n", ErrorKind::InvalidEvent),
    ];
    for (name, said, expected) in rows {
        let server = Server::start();
        let exchange = server.start_exchange(AnswerMode::Merged);
        let (mut peer, _) = server.request().await;
        peer.begin(FIRST).await;
        if said.is_empty() {
            peer.send("0\r\n\r\n").await;
        } else {
            peer.chunk(said).await;
        }
        assert_eq!(failure(&exchange).await.kind, expected, "{name}");
    }
    let server = Server::start();
    let exchange = server.start_exchange(AnswerMode::Merged);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    peer.reset();
    assert_eq!(failure(&exchange).await.kind, ErrorKind::Reset);
}

#[tokio::test]
async fn answers_beyond_the_cap() {
    let long = COMPLETION.replace("one", &"x".repeat(5000));
    let chunked = String::from_utf8(chunk(&long)).unwrap();
    let events = [FIRST, &event(&"x".repeat(5000)), LAST].concat();
    let rows = [
        (AnswerMode::Plain, format!("HTTP/1.1 200 OK\r\n{JSON}content-length: {}\r\n\r\n", long.len())),
        (AnswerMode::Plain, format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n{chunked}")),
        (AnswerMode::Plain, format!("HTTP/1.1 200 OK\r\n{JSON}\r\n{long}")),
        (AnswerMode::Merged, response("200 OK", "content-type: text/event-stream\r\n", &events)),
    ];
    for (mode, said) in rows {
        let server = Server::start();
        let mut config = server.config();
        config.max_answer_bytes = 4096;
        let exchange = start(&Upstream::new(config).unwrap(), mode);
        let (mut peer, _) = server.request().await;
        peer.send(&said).await;
        assert_eq!(failure(&exchange).await.kind, ErrorKind::TooLarge, "{said:.80}");
        peer.closed().await;
    }
}

#[tokio::test]
async fn an_answer_of_just_the_cap() {
    let chunked = [chunk(&COMPLETION[..50]), chunk(&COMPLETION[50..]), chunk("")].concat();
    let head = format!("HTTP/1.1 200 OK\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    for said in [response("200 OK", JSON, COMPLETION).into_bytes(), [head.into_bytes(), chunked].concat()] {
        for cap in [COMPLETION.len(), COMPLETION.len() - 1] {
            let server = Server::start();
            let mut config = server.config();
            config.max_answer_bytes = cap;
            let exchange = start(&Upstream::new(config).unwrap(), AnswerMode::Plain);
            let (mut peer, _) = server.request().await;
            peer.send(&said).await;
            if cap == COMPLETION.len() {
                assert_eq!(block(&exchange).await, COMPLETION);
            } else {
                assert_eq!(failure(&exchange).await.kind, ErrorKind::TooLarge);
            }
        }
    }
}
