#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::catalog::seed(), |data| simdex_fuzz::catalog::run(data));
