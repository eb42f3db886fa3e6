#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| llmgw_oracles::responses_request(input));
