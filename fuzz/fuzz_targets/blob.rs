#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::blob::seed(), |data| simdex_fuzz::blob::run(data));
