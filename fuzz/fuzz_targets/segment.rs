#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::segment::seed(), |data| simdex_fuzz::segment::run(data));
