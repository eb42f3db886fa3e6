//! The target whose every input means something, on inputs that nobody chose: a short fuzz run in each test run.

#![allow(missing_docs)]

use llmgw_oracles::deltas;

#[test]
fn streams_put_together_of_quirks_keep_the_rules() {
    let mut state: u64 = 1;
    for _ in 0..3_000 {
        let mut choices = [0; 160];
        for byte in &mut choices {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = u8::try_from(state >> 56).unwrap_or_default();
        }
        deltas(&choices);
    }
}
