//! Upstreams that never pause: they are timed out all the same, and the other exchanges of the thread go on.

use std::io::Write;
use std::thread;

use llmgw_core::answer::context::AnswerMode;
use llmgw_upstream::{ErrorKind, Upstream};

use crate::support::{
    DONE, FIRST, LAST, Peer, SECOND, SHORT, STREAM, STREAM_HEAD, Server, block, chunk, error_frame, event,
    failure, rest, start,
};

const TOO_LONG: &str = "The answer took longer than the time allowed for this upstream.";

/// Write `piece` again and again, as fast as it is read, until the other side has gone.
fn flood(peer: Peer, piece: &[u8]) -> thread::JoinHandle<()> {
    let mut socket = peer.socket.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    let piece = piece.repeat((256 * 1024 / piece.len()).max(1));
    thread::spawn(move || while socket.write_all(&piece).is_ok() {})
}

#[tokio::test]
async fn what_is_always_ready_is_timed_out() {
    let comment = chunk(": ping\n\n");
    let rows = [
        ("comments", STREAM, comment.clone()),
        ("comments, merged", AnswerMode::Merged, comment),
        ("comments byte by byte", STREAM, b"1\r\n:\r\n1\r\n\n\r\n".to_vec()),
        ("fields that nobody knows", STREAM, chunk("x: y\n")),
        ("an event that does not end", STREAM, chunk("event: x\n")),
    ];
    for (name, mode, piece) in rows {
        let server = Server::start();
        let mut config = server.config();
        config.timeouts.first_event = SHORT;
        config.max_answer_bytes = usize::MAX;
        let exchange = start(&Upstream::new(config).unwrap(), mode);
        let (mut peer, _) = server.request().await;
        peer.send(STREAM_HEAD).await;
        let flood = flood(peer, &piece);
        assert_eq!(failure(&exchange).await.kind, ErrorKind::FirstEventTimeout, "{name}");
        flood.join().unwrap();
    }
}

#[tokio::test]
async fn events_without_a_pause_end_at_the_total() {
    let server = Server::start();
    let exchange = server.start_timed(STREAM, |timeouts| timeouts.total = SHORT);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    let flood = flood(peer, &chunk(SECOND));
    assert!(rest(&exchange).await.ends_with(&error_frame(TOO_LONG, "upstream_timeout")));
    flood.join().unwrap();
}

/// As in a worker: one thread for all exchanges.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn other_streams_go_on_beside_a_flood() {
    let (flooding, other) = (Server::start(), Server::start());
    let mut config = flooding.config();
    config.max_answer_bytes = usize::MAX;
    let flooded = start(&Upstream::new(config).unwrap(), AnswerMode::Merged);
    let (mut peer, _) = flooding.request().await;
    peer.begin(FIRST).await;
    let flood = flood(peer, &chunk(": ping\n\n"));
    let exchange = other.start_exchange(STREAM);
    let (mut peer, _) = other.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);
    for _ in 0..20 {
        peer.chunk(SECOND).await;
        assert_eq!(block(&exchange).await, SECOND);
    }
    peer.finish(LAST).await;
    assert_eq!(rest(&exchange).await, [LAST, DONE].concat());
    drop(flooded);
    flood.join().unwrap();
}

/// Large enough to be worked on while another thread looks after the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_large_event_comes_out_as_it_is() {
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    let large = event(&"x".repeat(5 * 1024 * 1024));
    peer.begin(FIRST).await;
    peer.chunk(&large).await;
    peer.finish(LAST).await;
    assert!(rest(&exchange).await == [FIRST, &large, LAST, DONE].concat());
}
