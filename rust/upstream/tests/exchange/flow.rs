//! How bytes go through: at once, together, in order, and no faster than they are taken.

use std::time::{Duration, Instant};

use llmgw_upstream::Upstream;
use tokio::io::AsyncWriteExt;

use crate::support::{
    DONE, FIRST, LAST, PATIENCE, SECOND, STREAM, STREAM_HEAD, Server, block, chunk, event, eventually, rest,
    start, within,
};

#[tokio::test]
async fn the_first_frame_waits_for_nothing() {
    let server = Server::start();
    let started = Instant::now();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    // Not even for the end of its chunk.
    peer.send(format!("{STREAM_HEAD}ffff\r\n{FIRST}")).await;
    assert_eq!(block(&exchange).await, FIRST);
    assert!(exchange.report().first_event.is_some_and(|first_event| first_event <= started.elapsed()));
}

#[tokio::test]
async fn what_is_ready_comes_in_one_block() {
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);
    for _ in 0..100 {
        peer.chunk(SECOND).await;
    }
    eventually("all events are read", || exchange.report().summary.frames == 101).await;
    assert_eq!(block(&exchange).await, SECOND.repeat(100));
    peer.finish(LAST).await;
    assert_eq!(rest(&exchange).await, [LAST, DONE].concat());
}

/// Whoever must do something before an answer ends has to know its last block by itself.
#[tokio::test]
async fn the_last_block_is_known() {
    let broken = format!("data: {}\n\n", r#"{"error":{"message":"no","type":"server_error"}}"#);
    for (case, end) in [("done", [LAST, DONE].concat()), ("no done", LAST.to_owned()), ("error", broken)] {
        let server = Server::start();
        let exchange = server.start_exchange(STREAM);
        let (mut peer, _) = server.request().await;
        assert!(!exchange.is_finished(), "{case}: nothing has come");
        peer.begin(FIRST).await;
        assert_eq!(block(&exchange).await, FIRST);
        assert!(!exchange.is_finished(), "{case}: more is to come");
        peer.finish(&end).await;
        eventually("all is read", || {
            exchange.report().error_kind().is_some() || exchange.report().summary.frames == 2
        })
        .await;
        let mut last = String::new();
        while !exchange.is_finished() {
            last = block(&exchange).await;
        }
        assert!(last.ends_with(DONE) || last.contains("\"error\""), "{case}: {last}");
        assert_eq!(rest(&exchange).await, "", "{case}");
    }
}

#[tokio::test]
async fn one_byte_at_a_time() {
    let events = [FIRST, ": ping\n\n", SECOND, LAST, DONE].concat();
    let coded: Vec<u8> = events.bytes().flat_map(|byte| chunk([byte])).collect();
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    let saying = async {
        for byte in [STREAM_HEAD.as_bytes(), &coded, b"0\r\n\r\n"].concat() {
            peer.send([byte]).await;
            tokio::task::yield_now().await;
        }
    };
    let ((), all) = tokio::join!(saying, rest(&exchange));
    assert_eq!(all, [FIRST, SECOND, LAST, DONE].concat());
}

#[tokio::test]
async fn an_upstream_is_slowed_by_a_slow_reader() {
    const EVENTS: usize = 1024;
    const STALLED: Duration = Duration::from_millis(300);
    // The slot's high-water mark, and what one read and the kernel's socket buffers add to it.
    const HELD_BACK_BYTES: usize = 24 * 1024 * 1024;
    const BLOCK_BYTES: usize = (256 + 128) * 1024;
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    peer.begin(FIRST).await;
    assert_eq!(block(&exchange).await, FIRST);

    let large: Vec<String> = (0..EVENTS).map(|n| event(&format!("{n} {}", "x".repeat(32 * 1024)))).collect();
    let said: Vec<u8> = large.iter().flat_map(chunk).collect();
    assert!(said.len() > HELD_BACK_BYTES);
    let mut written = 0;
    while let Ok(wrote) = tokio::time::timeout(STALLED, peer.socket.write(&said[written..])).await {
        written += wrote.unwrap();
        assert!(written < HELD_BACK_BYTES, "the upstream was never stalled");
    }

    let first = block(&exchange).await;
    assert!(first.len() <= BLOCK_BYTES, "{} bytes were waiting", first.len());
    let saying = async {
        peer.send(&said[written..]).await;
        peer.finish(LAST).await;
    };
    let ((), others) = tokio::join!(saying, rest(&exchange));
    let all = [first, others].concat();
    assert!(all == [large.concat(), LAST.to_owned(), DONE.to_owned()].concat(), "{} bytes", all.len());
}

#[tokio::test]
async fn an_event_of_ten_megabytes() {
    let server = Server::start();
    let exchange = server.start_exchange(STREAM);
    let (mut peer, _) = server.request().await;
    let large = event(&"x".repeat(10_000_000));
    let saying = async {
        peer.begin(FIRST).await;
        peer.chunk(&large).await;
        peer.finish(LAST).await;
    };
    let ((), all) = tokio::join!(saying, rest(&exchange));
    assert!(all == [FIRST, &large, LAST, DONE].concat(), "{} bytes", all.len());
}

#[tokio::test]
async fn many_at_once_do_not_mix() {
    const EXCHANGES: usize = 50;
    let server = Server::start();
    let upstream = Upstream::new(server.config()).unwrap();
    let exchanges: Vec<_> = (0..EXCHANGES).map(|_| start(&upstream, STREAM)).collect();
    let mut peers = Vec::new();
    for _ in 0..EXCHANGES {
        peers.push(server.request().await.0);
    }
    for (n, peer) in peers.iter_mut().enumerate() {
        peer.begin(&[FIRST, &event(&format!("peer {n}"))].concat()).await;
    }
    for peer in &mut peers {
        peer.finish(LAST).await;
    }
    let mut answers = Vec::new();
    for exchange in &exchanges {
        answers.push(within(PATIENCE, "an answer", rest(exchange)).await);
    }
    // Which exchange got which connection is nobody's business.
    let mut expected: Vec<_> =
        (0..EXCHANGES).map(|n| [FIRST, &event(&format!("peer {n}")), LAST, DONE].concat()).collect();
    answers.sort();
    expected.sort();
    assert_eq!(answers, expected);
}
