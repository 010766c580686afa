#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::key::seed(), |data| simdex_fuzz::key::run(data));
