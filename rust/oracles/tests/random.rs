//! The targets whose every input means something, on inputs that nobody chose: a short fuzz run in each test run.

#![allow(missing_docs)]

use llmgw_oracles::{Lcg, deltas, messages_answer, responses_answer};

fn on_streams_put_together_of_quirks(holds: fn(&[u8])) {
    let mut numbers = Lcg::new(1);
    for _ in 0..3_000 {
        let mut choices = [0; 160];
        for byte in &mut choices {
            *byte = u8::try_from(numbers.below(256)).unwrap_or_default();
        }
        holds(&choices);
    }
}

#[test]
fn streams_put_together_of_quirks_keep_the_rules() {
    on_streams_put_together_of_quirks(deltas);
}

#[test]
fn and_come_out_as_responses() {
    on_streams_put_together_of_quirks(responses_answer);
}

#[test]
fn and_come_out_as_messages() {
    on_streams_put_together_of_quirks(messages_answer);
}
