#![no_main]

#[global_allocator]
static ALLOCATOR: llmgw_oracles::Counting = llmgw_oracles::Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmgw_oracles::cost(input));
