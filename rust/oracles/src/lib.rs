//! What must hold of `llmgw-core` for any bytes whatever.
//!
//! An oracle takes an input, runs the core on it, and panics where a promise is broken. What it
//! judges by is not the core's: `serde_json` says what is JSON, and where there is no such judge there is a plain second
//! implementation here. Only which streams are clear enough to be judged further is asked of the core's own SSE parser.
//!
//! The fuzz targets in `rust/fuzz` are these functions and nothing else; `tests/replay.rs` runs them on the saved corpus
//! with every `make test`. What an oracle chooses (cuts, routes) it draws from a hash of the input, so that an input is
//! a plain file, and a find is found again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "an oracle panics: that is its answer"
)]

mod answer;
mod completions;
mod cost;
mod counts;
mod deltas;
mod facts;
pub mod messages_answer;
mod messages_request;
pub mod raw;
mod request;
pub mod responses_answer;
mod responses_request;
mod retrieval;
pub mod rules;
mod sse;

pub use answer::{clean, merge, stream};
pub use completions::completions;
pub use cost::{Counting, cost};
pub use deltas::deltas;
pub use messages_answer::messages_answer;
pub use messages_request::messages_request;
pub use request::{request, rewrite};
pub use responses_answer::responses_answer;
pub use responses_request::responses_request;
pub use retrieval::retrieval;
pub use sse::sse;

/// A name, and what must hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them. The name is that of the fuzz target and of the folder in `tests/corpus/fuzz`.
pub const TARGETS: [Target; 14] = [
    ("sse", sse),
    ("request", request),
    ("rewrite", rewrite),
    ("stream", stream),
    ("merge", merge),
    ("deltas", deltas),
    ("clean", clean),
    ("completions", completions),
    ("cost", cost),
    ("messages_answer", messages_answer),
    ("responses_answer", responses_answer),
    ("retrieval", retrieval),
    ("messages_request", messages_request),
    ("responses_request", responses_request),
];

/// A linear congruential generator, with Knuth's constants: the same numbers from the same seed.
pub struct Lcg(u64);

impl Lcg {
    /// Begins with `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 31 bits; the lower ones repeat too soon.
    pub const fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// A number below `limit`, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.draw()).unwrap() % limit
    }
}

/// Choices that depend on the input alone.
struct Choices(Lcg);

impl Choices {
    fn of(input: &[u8]) -> Self {
        // FNV-1a.
        let hash = input.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(Lcg::new(hash))
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    fn one_of<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 1
    }

    /// The input in up to six pieces, some of them empty.
    fn pieces<'a>(&mut self, input: &'a [u8]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = (0..self.below(6)).map(|_| self.below(input.len() + 1)).collect();
        cuts.extend([0, input.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
    }
}

/// The ways in which an input may arrive: in a few pieces, in two, and byte by byte unless that is long.
fn arrivals(input: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut choices = Choices::of(input);
    let (left, right) = input.split_at(choices.below(input.len() + 1));
    let mut arrivals = vec![choices.pieces(input), vec![left, right]];
    if input.len() <= 2_000 {
        arrivals.push(input.chunks(1).collect());
    }
    arrivals
}
