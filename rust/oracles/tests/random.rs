//! The target whose every input means something, on inputs that nobody chose: a short fuzz run in each test run.

#![allow(missing_docs)]

use llmgw_oracles::{Lcg, deltas};

#[test]
fn streams_put_together_of_quirks_keep_the_rules() {
    let mut numbers = Lcg::new(1);
    for _ in 0..3_000 {
        let mut choices = [0; 160];
        for byte in &mut choices {
            *byte = u8::try_from(numbers.below(256)).unwrap_or_default();
        }
        deltas(&choices);
    }
}
