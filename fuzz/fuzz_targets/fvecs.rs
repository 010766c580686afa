#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::fvecs::seed(), |data| simdex_fuzz::fvecs::run(data));
