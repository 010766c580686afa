#![no_main]

libfuzzer_sys::fuzz_target!(init: simdex_fuzz::kernels::seed(), |data| simdex_fuzz::kernels::run(data));
