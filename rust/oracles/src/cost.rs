//! What an answer may cost the gateway: time in proportion to its length, and memory within a small multiple of it.
//!
//! Inputs are small and grow here: of `front~piece~back` the piece is repeated to a megabyte, each `#` in it replaced by its
//! number. So a fuzzer that mutates short inputs finds what is slow, or large, only where there is very much of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::time::{Duration, Instant};

use llmgw_core::answer::context::{AnswerContext, AnswerMode, Vectors};
use llmgw_core::answer::think::ReasoningTags;
use llmgw_core::api::messages::{self, Options};
use llmgw_core::api::{Api, responses};
use llmgw_core::refusal::Refusal;
use llmgw_core::secret::Secret;
use llmgw_core::sse::SseLimits;

/// As long as inputs grow.
const GROWN_BYTES: usize = 1024 * 1024;
/// What one read from a socket brings, and a small one.
const READS: [usize; 2] = [64 * 1024, 1000];

/// Ten times what the slowest input takes in a debug build.
const TIME: Duration = Duration::from_millis(250);
const TIME_PER_BYTE: Duration = Duration::from_nanos(500);
/// What an answer with as many choices and calls as it may have takes, however short it is.
const MEMORY_BYTES: usize = 2 * 1024 * 1024;
const MEMORY_PER_BYTE: usize = 4;
/// A request is converted in one piece. Calls get longer in chat's words, and in a turn of nothing but calls and results
/// each is remembered.
const MEMORY_PER_BYTE_CONVERTED: usize = 8;
/// What a Responses body with as many items and tools as it may have takes.
const REQUEST_MEMORY_BYTES: usize = 32 * 1024 * 1024;

/// Counts what a thread holds. Without it as its allocator, a program checks only the time.
pub struct Counting;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow_by(bytes: usize) {
    let held = HELD.get().wrapping_add(bytes);
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

fn shrink_by(bytes: usize) {
    HELD.set(HELD.get().saturating_sub(bytes));
}

#[allow(unsafe_code, reason = "an allocator is asked for in no other way; it hands all on to the system's")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow_by(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink_by(layout.size());
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // In place, as the system does with large ones.
        shrink_by(layout.size());
        grow_by(size);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The time that this thread has been running, so that a busy machine does not count.
fn cpu_time(started: Instant) -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = stat.and_then(|stat| stat.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| started.elapsed(), Duration::from_nanos)
}

/// What a run may hold beside its input.
#[derive(Clone, Copy)]
struct Budget {
    memory: usize,
    per_byte: usize,
}

/// Run it, and panic where it costs more than an input of this length may: so much memory per byte.
fn within_budget(what: &str, length: usize, per_byte: usize, run: impl FnOnce()) {
    within(what, length, Budget { memory: MEMORY_BYTES, per_byte }, run);
}

fn within(what: &str, length: usize, budget: Budget, run: impl FnOnce()) {
    let started = Instant::now();
    let (before, time) = (HELD.get(), cpu_time(started));
    PEAK.set(before);
    run();
    let time = cpu_time(started).saturating_sub(time);
    let memory = PEAK.get() - before;
    let allowed = TIME + TIME_PER_BYTE * u32::try_from(length).unwrap();
    assert!(time <= allowed, "{what}: {length} bytes took {time:?}, more than {allowed:?}");
    let allowed = budget.memory + budget.per_byte * length;
    assert!(memory <= allowed, "{what}: {length} bytes took {memory} bytes of memory, more than {allowed}");
}

/// `front~piece~back`, with the piece as often as it takes.
fn grown(input: &[u8]) -> Vec<u8> {
    let mut parts = input.splitn(3, |&byte| byte == b'~');
    let (Some(front), Some(piece), Some(back)) = (parts.next(), parts.next(), parts.next()) else {
        return input.to_vec();
    };
    let mut grown = front.to_vec();
    for number in 0.. {
        let before = grown.len();
        for &byte in piece {
            match byte {
                b'#' => grown.extend_from_slice(number.to_string().as_bytes()),
                byte => grown.push(byte),
            }
        }
        if grown.len() >= GROWN_BYTES || grown.len() == before {
            break;
        }
    }
    grown.extend_from_slice(back);
    grown
}

fn contexts() -> [AnswerContext; 2] {
    let context = AnswerContext {
        request_id: "req".into(),
        model: "model".into(),
        keep_reasoning: true,
        secret: Secret::new(Some("sk-secret-key")),
        vectors: Vectors::Base64,
        ..AnswerContext::default()
    };
    let other =
        AnswerContext { reasoning_tags: ReasoningTags::Think, vectors: Vectors::Floats, ..context.clone() };
    [context, other]
}

/// Read as a stream, as one answer and as an error, any bytes keep within the budget.
pub fn cost(input: &[u8]) {
    // What came whole is held by the caller, once.
    const WHOLE: usize = MEMORY_PER_BYTE - 1;
    let input = grown(input);
    let stream = AnswerMode::Stream { include_usage: true };
    for context in contexts() {
        for read in READS {
            let streamed = Api::ALL.map(|api| (api, stream));
            for (api, mode) in streamed.into_iter().chain([(Api::Chat, AnswerMode::Merged)]) {
                within_budget(&format!("{api:?}, {mode:?}"), input.len(), MEMORY_PER_BYTE, || {
                    fed(api, mode, &context, &input, read);
                });
            }
        }
        for api in Api::ALL {
            within_budget(&format!("{api:?}, whole"), input.len(), WHOLE, || {
                drop(api.clean(&input, &context));
            });
        }
    }
    within_budget("a Messages body", input.len(), MEMORY_PER_BYTE_CONVERTED, || {
        drop(messages::convert(&input, Options::default()));
    });
    within_budget("error", input.len(), WHOLE, || drop(Refusal::read(&input)));
    let conversion = Budget { memory: REQUEST_MEMORY_BYTES, per_byte: MEMORY_PER_BYTE_CONVERTED };
    within("a Responses body", input.len(), conversion, || drop(responses::convert(&input, None)));
}

/// As the exchange does it: what comes out is taken after each read.
fn fed(api: Api, mode: AnswerMode, context: &AnswerContext, input: &[u8], read: usize) {
    let mut machine = api.machine(mode, context.clone(), SseLimits::default());
    for piece in input.chunks(read) {
        let mut output = Vec::new();
        machine.feed(Some(piece), &mut output);
    }
    machine.feed(None, &mut Vec::new());
}
