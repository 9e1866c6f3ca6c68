#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| { diwan_embedded_fuzz::selectors(bytes); });
