#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::generation::seed(), |data| simdex_fuzz::generation::run(data));
