#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| diwan_metrics_collector_fuzz::text(bytes));
